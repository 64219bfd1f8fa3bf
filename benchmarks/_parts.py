"""Run the parts of a benchmark script that were asked for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from _machine import description, one_thread
from _tables import Table, write

Part = Callable[[argparse.Namespace], Table]


def arguments(document: str | None, parts: dict[str, Part]) -> argparse.ArgumentParser:
    """A parser for the names of parts, and whether to write their tables."""
    parser = argparse.ArgumentParser(description=(document or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"{', '.join(parts)}; default all")
    parser.add_argument("--write", action="store_true", help="renew sections of RESULTS.md")
    return parser


def run(parser: argparse.ArgumentParser, parts: dict[str, Part]) -> None:
    """Read the command line, and make the tables on one thread."""
    options = parser.parse_args()
    if unknown := set(options.parts) - set(parts):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; choose from {', '.join(parts)}")
    how = " ".join([f"python benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    with one_thread():
        machine = description()
        print(machine)
        for name in options.parts or parts:
            table = parts[name](options)
            if options.write:
                write(table, machine, how)
