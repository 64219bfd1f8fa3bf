"""Readable tables on the terminal, and sections of RESULTS.md that a rerun replaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).with_name("RESULTS.md")


@dataclass
class Table:
    """Rows printed as they come, and kept for the Markdown file."""

    name: str
    title: str
    columns: Sequence[str]
    note: str = ""
    rows: list[list[str]] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)

    def begin(self, widths: Sequence[int]) -> None:
        """Print the title and the header."""
        self.widths = [max(w, len(c)) for w, c in zip(widths, self.columns, strict=True)]
        print(f"\n{self.title}\n{self.note}" if self.note else f"\n{self.title}")
        self._print(self.columns)

    def add(self, *cells: str) -> None:
        """Print and keep a row."""
        self.rows.append(list(cells))
        self._print(cells)

    def markdown(self) -> str:
        """Title, note and a pipe table."""
        lines = [f"### {self.title}", ""]
        if self.note:
            lines += [self.note, ""]
        lines.append("| " + " | ".join(self.columns) + " |")
        lines.append("|" + "---|" * len(self.columns))
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        return "\n".join(lines)

    def _print(self, cells: Sequence[str]) -> None:
        padded = [f"{cell:>{width}}" for cell, width in zip(cells, self.widths, strict=True)]
        print("  ".join(padded), flush=True)


def write(table: Table, machine: str, how: str) -> None:
    """Put the table into RESULTS.md, in place of the one of the same name."""
    begin, end = f"<!-- begin {table.name} -->", f"<!-- end {table.name} -->"
    section = f"{begin}\n{table.markdown()}\n\nRun as `{how}` on {machine}\n{end}"
    text = RESULTS.read_text() if RESULTS.exists() else "# Benchmark results\n"
    if begin in text and end in text:
        head, rest = text.split(begin, 1)
        text = head + section + rest.split(end, 1)[1]
    else:
        text = text.rstrip() + "\n\n" + section + "\n"
    RESULTS.write_text(text)


def seconds(value: float) -> str:
    """A duration in the unit that suits it."""
    if not np.isfinite(value):
        return "-"
    if value >= 1:
        return f"{value:.2f} s" if value < 100 else f"{value:.0f} s"
    return f"{value * 1e3:.3g} ms"


def ratio(values: Sequence[float]) -> str:
    """Median and range of repeated ratios."""
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return "-"
    middle = f"{_digits(float(np.median(known)))}"
    return middle if len(known) == 1 else f"{middle} ({_digits(min(known))}-{_digits(max(known))})"


def _digits(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"
