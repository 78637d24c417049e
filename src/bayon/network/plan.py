"""Plans: how the fields that one bitmap announces are read and written in few steps.

Fields of fixed length that stand side by side are one run: one slice of the message, cut by one
call, and judged by as few as their kinds allow. A plan is made once for each set of fields and
kept. It only ever says yes: what it cannot read or write goes field by field in `iso8583`, which
says why.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

from bayon.network.wire import Check, Part, Unreadable

Cut = Callable[[str], tuple[str, ...]]
Pick = Callable[[Mapping[int, str]], tuple[str, ...]]

Found = tuple[dict[int, str], dict[int, str]]
"""Fields to be seen, and fields that are hidden."""

_SHORTEST_RUN: Final = 2


class Run(NamedTuple):
    """Fixed fields side by side, all text or all packed, in characters or half bytes."""

    numbers: tuple[int, ...]
    packed: bool
    size: int
    """Bytes on the wire."""

    cut: Cut
    checks: tuple[tuple[slice, Check], ...]
    pick: Pick
    lengths: list[int]
    form: str
    """What the values are written into: `%s%s0%s`, where the third has an odd number of digits."""


class Step(NamedTuple):
    """A run, or one field by itself."""

    run: Run | None
    number: int
    part: Part
    hidden: bool


Plan = Sequence[Step]


def planned(numbers: Iterable[int], parts: Mapping[int, Part], hidden: Collection[int]) -> Plan:
    """Plan these fields, which stand in order; those that are hidden each by itself."""
    steps: list[Step] = []
    for joins, group in groupby(numbers, key=lambda n: "" if n in hidden else _joins(parts[n])):
        together = list(group)
        if joins and len(together) >= _SHORTEST_RUN:
            steps.append(Step(_run([parts[n] for n in together]), 0, parts[together[0]], False))
        else:
            steps += [Step(None, n, parts[n], n in hidden) for n in together]
    return tuple(steps)


def _joins(part: Part) -> str:
    """Say with which fields this one makes a run: those of the same encoding, or none."""
    wire = part.wire
    odd = wire.size % 2 == 1 and wire.pad == "right"
    if wire.digits or wire.kind == "z" or wire.encoding in {"raw", "hex"}:
        return ""
    return "" if wire.encoding == "bcd" and odd else wire.encoding


def _run(parts: Sequence[Part]) -> Run:
    numbers = tuple(part.wire.number for part in parts)
    packed = parts[0].wire.encoding == "bcd"
    fills = [packed and part.wire.size % 2 == 1 for part in parts]
    slices, end = _slices(parts, fills)
    return Run(
        numbers=numbers,
        packed=packed,
        size=end // 2 if packed else end,
        cut=itemgetter(*slices),
        checks=tuple(_checks(parts, slices, fills)),
        pick=itemgetter(*numbers),
        lengths=[part.wire.size for part in parts],
        form="".join("0%s" if fill else "%s" for fill in fills),
    )


def _slices(parts: Sequence[Part], fills: Sequence[bool]) -> tuple[list[slice], int]:
    slices: list[slice] = []
    at = 0
    for part, fill in zip(parts, fills, strict=True):
        start = at + fill
        at = start + part.wire.size
        slices.append(slice(start, at))
    return slices, at


def _checks(
    parts: Sequence[Part], slices: Sequence[slice], fills: Sequence[bool]
) -> Iterable[tuple[slice, Check]]:
    """Judge neighbours of one kind by one check; each zero that fills up by itself."""
    at = 0
    for check, group in groupby(parts, key=lambda part: part.check):
        together = list(group)
        if check == str.isdecimal or len(together) == 1:
            yield slice(slices[at].start, slices[at + len(together) - 1].stop), check
        else:
            yield from ((where, check) for where in slices[at : at + len(together)])
        at += len(together)
    for fill, where in zip(fills, slices, strict=True):
        if fill:
            yield slice(where.start - 1, where.start), "0".__eq__


def read(
    plan: Plan, body: bytes, text: str, at: int
) -> tuple[dict[int, str], dict[int, str]] | None:
    """Read all fields from `at` on to the end: those to be seen, and the hidden ones."""
    seen: dict[int, str] = {}
    hidden: dict[int, str] = {}
    try:
        for run, number, part, hides in plan:
            if run is None:
                value, at = part.read(body, text, at)
                if not part.check(value):
                    return None
                (hidden if hides else seen)[number] = value
                continue
            end = at + run.size
            together = body[at:end].hex() if run.packed else text[at:end]
            for where, check in run.checks:
                if not check(together[where]):
                    return None
            seen.update(zip(run.numbers, run.cut(together), strict=True))
            at = end
    except Unreadable:
        return None
    return (seen, hidden) if at == len(body) else None


def write(plan: Plan, values: Mapping[int, str], charset: str) -> bytes | None:
    """Write all fields, one behind the other."""
    written: list[bytes] = []
    try:
        for run, number, part, _ in plan:
            if run is None:
                value = values[number]
                if not part.check(value):
                    return None
                written.append(part.write(value))
                continue
            picked = run.pick(values)
            together = run.form % picked
            if list(map(len, picked)) != run.lengths:
                return None
            for where, check in run.checks:
                if not check(together[where]):
                    return None
            written.append(bytes.fromhex(together) if run.packed else together.encode(charset))
    except (Unreadable, ValueError):
        return None
    return b"".join(written)
