"""Every equation of the pages can be drawn: matplotlib knows a part of TeX only."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from matplotlib.mathtext import MathTextParser

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *DOCS.glob("tutorials/*.py")])


def equations(text: str) -> list[str]:
    """What stands between dollars, line by line where there are several; code is left out."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    text = re.sub(r"`[^`\n]*`", "", text)
    shown = re.findall(r"\$\$(.*?)\$\$", text, re.S)
    inline = re.findall(r"\$([^$]+)\$", re.sub(r"\$\$.*?\$\$", "", text, flags=re.S))
    lines = [line for block in shown for line in block.split(r"\\")]
    return [" ".join(line.split()) for line in [*lines, *inline] if line.strip()]


def of_page(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".py":
        comments = [line[1:] for line in text.splitlines() if line.startswith("#")]
        text = "\n".join(comments)
    return equations(text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_equations_can_be_drawn(page: Path) -> None:
    parser = MathTextParser("path")
    for equation in of_page(page):
        parser.parse(f"${equation}$")


def test_equations_are_found_and_wrong_ones_refused() -> None:
    assert sum(len(of_page(page)) for page in PAGES) > 300
    with pytest.raises(ValueError, match="Unknown symbol"):
        MathTextParser("path").parse(r"$P \nosuchsymbol 0$")
