"""Frames: whatever the stream is cut into, the same messages come out, and nothing else."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayon.network.frame import (
    FRAME_SIZE_MAX,
    LENGTHS,
    BadFrame,
    Frame,
    Framer,
    Framing,
    turned,
    wrap,
)

TPDU = bytes.fromhex("6000010002")
FRAMINGS = [Framing(length=length, tpdu=tpdu) for length in LENGTHS for tpdu in (False, True)]
WRITTEN = [
    (Framing(), b"0800", "0004 30383030"),
    (Framing(length="binary-2-inclusive"), b"0800", "0006 30383030"),
    (Framing(length="ascii-4"), b"0800", "30303034 30383030"),
    (Framing(length="bcd-2"), b"0800" * 3, "0012 303830303038303030383030"),
    (Framing(tpdu=True), b"0800", "0009 6000010002 30383030"),
]


@pytest.mark.parametrize(("framing", "body", "expected"), WRITTEN)
def test_each_length_is_written_as_it_is_told(framing: Framing, body: bytes, expected: str) -> None:
    frame = Frame(body, TPDU if framing.tpdu else b"")
    assert wrap(frame, framing) == bytes.fromhex(expected)
    assert Framer(framing).feed(bytes.fromhex(expected)) == [frame]


@given(
    st.sampled_from(FRAMINGS),
    st.lists(st.binary(min_size=1, max_size=300), max_size=8),
    st.lists(st.integers(1, 40), min_size=1, max_size=20),
)
def test_frames_come_out_as_they_went_in_however_the_stream_is_cut(
    framing: Framing, bodies: list[bytes], cuts: list[int]
) -> None:
    frames = [Frame(body, TPDU if framing.tpdu else b"") for body in bodies]
    stream = b"".join(wrap(frame, framing) for frame in frames)
    framer, found, at, turn = Framer(framing), list[Frame](), 0, 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        found += framer.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    assert found == frames
    assert (framer.waiting, framer.error) == (0, None)


@given(st.sampled_from(FRAMINGS), st.lists(st.binary(max_size=50), max_size=20))
def test_any_stream_gives_frames_or_an_error_and_keeps_little(
    framing: Framing, chunks: list[bytes]
) -> None:
    framing = replace(framing, size_max=100)
    framer = Framer(framing)
    for chunk in chunks:
        if framer.error is not None:
            with pytest.raises(BadFrame):
                framer.feed(chunk)
            break
        assert all(0 < len(frame.body) <= 100 for frame in framer.feed(chunk))
        assert framer.error is not None or framer.waiting <= 104


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_frame_of_no_length_keeps_the_link_alive_and_is_dropped(framing: Framing) -> None:
    nothing = {"binary-2": b"\0\0", "binary-2-inclusive": b"\0\2", "ascii-4": b"0000"}
    empty = nothing.get(framing.length, b"\0\0")
    frame = Frame(b"0800", TPDU if framing.tpdu else b"")
    assert Framer(framing).feed(empty * 1_000 + wrap(frame, framing) + empty) == [frame]


def test_a_tpdu_with_nothing_behind_it_is_dropped_and_half_a_one_is_an_error() -> None:
    framer = Framer(Framing(tpdu=True))
    assert framer.feed(b"\0\5" + TPDU) == []
    assert framer.feed(b"\0\3" + TPDU[:3]) == []
    assert framer.error is not None


BROKEN = {
    "longer than the cap": (Framing(), (FRAME_SIZE_MAX + 1).to_bytes(2, "big")),
    "letters": (Framing(length="ascii-4"), b"00A4"),
    "a sign": (Framing(length="ascii-4"), b"+004"),
    "a blank": (Framing(length="ascii-4"), b" 004"),
    "no decimal": (Framing(length="bcd-2"), b"\x00\x0a"),
    "less than itself": (Framing(length="binary-2-inclusive"), b"\0\1"),
}


@pytest.mark.parametrize(("framing", "header"), BROKEN.values(), ids=BROKEN.keys())
def test_a_length_that_cannot_be_ends_the_link_after_what_came_before(
    framing: Framing, header: bytes
) -> None:
    framer, frame = Framer(framing), Frame(b"0800")
    assert framer.feed(wrap(frame, framing) + header) == [frame]
    assert framer.error is not None
    with pytest.raises(BadFrame):
        framer.feed(wrap(frame, framing))


def test_the_cap_is_met_before_the_frame_is_there() -> None:
    framer = Framer(Framing(size_max=100))
    assert framer.feed(b"\0\x64" + b"x" * 99) == []
    assert framer.error is None
    assert framer.feed(b"x\0\x65") == [Frame(b"x" * 100)]
    assert framer.error is not None


def test_what_does_not_fit_is_not_written() -> None:
    with pytest.raises(BadFrame):
        wrap(Frame(b"x" * 101), Framing(size_max=100))
    with pytest.raises(BadFrame):
        wrap(Frame(b"x" * 10_000), Framing(length="bcd-2", size_max=50_000))
    with pytest.raises(BadFrame):
        wrap(Frame(b"x", TPDU), Framing())


def test_an_answers_tpdu_goes_where_the_requests_came_from() -> None:
    assert turned(TPDU) == bytes.fromhex("6000020001")
    assert turned(turned(TPDU)) == TPDU
