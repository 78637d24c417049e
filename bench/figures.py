"""Figures: both sides in rounds, their ratio within each round, and the table."""

import os
from dataclasses import dataclass, field
from statistics import median
from typing import Final

WIDTHS: Final = (44, 24, 24, 17, 6, 6, 5)


@dataclass(kw_only=True)
class Figure:
    """One line of the table. Ratios are taken inside a round; the median of them is claimed."""

    what: str
    against: str = ""
    unit: str = "/s"
    goal: float | None = None
    at_most: bool = False
    ours: list[float] = field(default_factory=list[float])
    theirs: list[float] = field(default_factory=list[float])
    notes: list[str] = field(default_factory=list[str])
    load: float = 0.0

    def add(self, ours: float, theirs: float | None = None) -> None:
        """Keep one round, and how busy the machine was."""
        self.ours.append(ours)
        if theirs is not None:
            self.theirs.append(theirs)
        self.load = max(self.load, os.getloadavg()[0])

    @property
    def ratios(self) -> list[float]:
        """Ours by theirs, round by round."""
        return [a / b for a, b in zip(self.ours, self.theirs, strict=False)]

    @property
    def missed(self) -> bool:
        """Tell whether the goal is missed."""
        if self.goal is None:
            return False
        reached = median(self.ratios or self.ours)
        return reached > self.goal if self.at_most else reached < self.goal

    def lines(self) -> list[str]:
        """Write the line, and its notes below it."""
        goal = "" if self.goal is None else f"{'≤' if self.at_most else '≥'} {self.goal}"
        verdict = "" if self.goal is None else "MISSED" if self.missed else "ok"
        cells = (
            self.what,
            _spread(self.ours, self.unit),
            _spread(self.theirs, self.unit),
            _spread(self.ratios, ""),
            goal,
            verdict,
            f"{self.load:.1f}",
        )
        against = [f"against {self.against}"] if self.against else []
        return [_row(cells), *(f"    {note}" for note in (*against, *self.notes))]


def table(figures: list[Figure]) -> str:
    """Write all figures."""
    head = ("what", "ours (min-max)", "theirs (min-max)", "ratio (min-max)", "goal", "", "load")
    lines = [line for figure in figures for line in figure.lines()]
    missed = [figure.what for figure in figures if figure.missed]
    verdict = f"GOALS MISSED: {'; '.join(missed)}" if missed else "Every goal is reached."
    return "\n".join([_row(head), "-" * (sum(WIDTHS) + len(WIDTHS)), *lines, "", verdict])


def _row(cells: tuple[str, ...]) -> str:
    return " ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def _spread(values: list[float], unit: str) -> str:
    if not values:
        return ""
    if len(values) == 1:
        return f"{_short(values[0])}{unit}"
    return f"{_short(median(values))}{unit} ({_short(min(values))}-{_short(max(values))})"


def _short(value: float) -> str:
    if value >= 1_000:
        return f"{value / 1_000:.1f}k" if value < 100_000 else f"{value / 1_000:.0f}k"
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"
