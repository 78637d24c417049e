"""The null host: reads every request whole and answers 00 at once. The ceiling of any host.

    python -m bench.null_host [--profile NAME] [--port N] [--ready-file FILE]

As a real host it cuts frames, decodes and encodes; it asks no database and decides nothing.
Prints its port where no file is named.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Final, cast

import uvloop

from bayon.network.frame import BadFrame, Frame, Framer, turned, wrap
from bayon.network.iso8583 import BadMessage, Message, decode, encode
from bayon.network.profile import DEFAULT_PROFILE, Profile, load_profile

ECHOED: Final = (3, 4, 7, 11, 12, 13, 32, 33, 37, 41, 42, 49, 70)


class NullLink(asyncio.Protocol):
    """One connection."""

    def __init__(self, profile: Profile) -> None:
        self._profile: Profile = profile
        self._framer: Framer = Framer(profile.framing)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer whatever has come, in one write."""
        assert self._transport is not None
        try:
            frames = self._framer.feed(data)
        except BadFrame:
            self._transport.close()
            return
        profile = self._profile
        answers: list[bytes] = []
        for frame in frames:
            try:
                body = encode(answered(decode(frame.body, profile)), profile)
            except BadMessage:
                continue
            answers.append(wrap(Frame(body, turned(frame.tpdu)), profile.framing))
        self._transport.write(b"".join(answers))


def answered(message: Message) -> Message:
    """Approve."""
    fields = message.fields
    said = {number: fields[number] for number in ECHOED if number in fields}
    said[39] = "00"
    if message.mti[1] in "12":
        said[38] = "000000"
    return Message(mti=f"{message.mti[:2]}{int(message.mti[2]) + 1}0", fields=said)


async def listen(profile: Profile, port: int = 0) -> asyncio.Server:
    """Listen on this machine."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: NullLink(profile), "127.0.0.1", port)


async def _run(profile: Profile, port: int, ready_file: Path | None) -> None:
    server = await listen(profile, port)
    port = server.sockets[0].getsockname()[1]
    if ready_file is None:
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
    else:
        written = ready_file.with_suffix(".new")
        said = {"http_url": "", "network_port": port, "pid": os.getpid()}
        written.write_text(json.dumps(said))
        written.rename(ready_file)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()


def main() -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m bench.null_host")
    parser.add_argument("--profile", default=DEFAULT_PROFILE)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ready-file", type=Path)
    args = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(load_profile(args.profile), args.port, args.ready_file))


if __name__ == "__main__":
    main()
