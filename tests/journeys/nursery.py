"""A nursery: processes of Bayon that need not import everything again, because they are forks.

Whoever starts `bayon` waits most of its time for Python to read modules. A test that is about what
a command does, and not about how it is started, takes a fork of a process that has read them: it is
a process like any other, with its own folder, environment, files, session and signals.
"""

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Final, TextIO, cast

from bayon import cli

_FLAGS: Final = (os.O_RDONLY, *[os.O_WRONLY | os.O_CREAT | os.O_TRUNC] * 2)


class Fork:
    """A forked command, with what a test uses of `subprocess.Popen`."""

    def __init__(self, parent: "Nursery", pid: int) -> None:
        self._parent: Nursery = parent
        self.pid: int = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Tell its exit code; None while it runs."""
        return self._look(os.WNOHANG)

    def wait(self) -> int:
        """Wait for its end."""
        code = self._look(0)
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended: its pid is its own until it is asked for."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def _look(self, options: int) -> int | None:
        if self.returncode is None:
            self.returncode = self._parent.ask(pid=self.pid, options=options)
        return self.returncode


class Nursery:
    """The process that forks; it ends with whoever has started it, or when it is closed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, __file__],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def start(
        self, words: Sequence[str], *, folder: Path, env: Mapping[str, str], files: Sequence[Path]
    ) -> Fork:
        """Start a command; `files` are its standard input, output and errors."""
        paths = [str(file) for file in files]
        pid = self.ask(words=words, folder=str(folder), env=env, files=paths)
        return Fork(self, cast("int", pid))

    def ask(self, **question: object) -> int | None:
        """Ask, and wait for the answer."""
        asked, answered = cast("TextIO", self._process.stdin), cast("TextIO", self._process.stdout)
        asked.write(json.dumps(question) + "\n")
        asked.flush()
        answer = answered.readline()
        assert answer, f"The nursery has ended; does `python {__file__} </dev/null` import it all?"
        return cast("int | None", json.loads(answer))

    def close(self) -> None:
        """End it; its forks go on."""
        with self._process as process:
            cast("TextIO", process.stdin).close()


@cache
def nursery() -> Nursery:
    """Find the nursery of this test process, or start it."""
    made = Nursery()
    atexit.register(made.close)
    return made


def _fork_or_answer() -> dict[str, Any] | None:
    """Answer until there is nothing more to read; in each fork, return what it shall be."""
    for line in sys.stdin:
        question: dict[str, Any] = json.loads(line)
        if "words" in question:
            answer = os.fork()
            if answer == 0:
                return question
        else:
            pid, status = os.waitpid(question["pid"], question["options"])
            answer = os.waitstatus_to_exitcode(status) if pid else None
        print(json.dumps(answer), flush=True)  # noqa: T201 - the answer
    return None


def _become(question: Mapping[str, Any]) -> None:
    """Take over the folder, the environment, the files and the words of a command."""
    os.setsid()
    os.chdir(question["folder"])
    os.environ.clear()
    os.environ.update(question["env"])
    for number, (path, flags) in enumerate(zip(question["files"], _FLAGS, strict=True)):
        opened = os.open(path, flags, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, encoding=sys.stdin.encoding, errors=sys.stdin.errors)  # noqa: SIM115 - for its whole life
    sys.argv = question["words"]


if __name__ == "__main__":
    for each in iter_modules(cli.__path__):  # which a verb loads when it is asked for
        import_module(f"bayon.cli.{each.name}")
    gc.collect()
    gc.freeze()  # a fork that ends does not look again at everything that was imported
    wanted = _fork_or_answer()
    if wanted is not None:
        _become(wanted)
        sys.exit(cli.main())
