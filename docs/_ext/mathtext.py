"""Equations drawn with matplotlib's mathtext as inline SVG, which needs no network and no TeX."""

from __future__ import annotations

import logging
from html import escape
from typing import Any

from docutils import nodes
from matplotlib.textpath import TextPath
from sphinx.application import Sphinx

SIZE = 100.0  # of the drawn font; pages scale it to their own
EM = 1.05  # height of the letters relative to the text around them
COMMANDS = {1: "M", 2: "L", 3: "Q", 4: "C"}


def svg(tex: str) -> str:
    """One formula, as high as its text and with its baseline on that of the line."""
    path = TextPath((0, 0), f"${' '.join(tex.split())}$", size=SIZE)
    parts = []
    for points, code in path.iter_segments(simplify=False, curves=True):
        # The page's y axis points down.
        pairs = " ".join(f"{x:.1f} {-y:.1f}" for x, y in points.reshape(-1, 2))
        parts.append(f"{COMMANDS[code]}{pairs}" if code in COMMANDS else "Z")
    box = path.get_extents()
    width, height = box.width + 4, box.height + 4
    style = (
        f"height:{height * EM / SIZE:.3f}em;max-width:100%;"
        f"vertical-align:{(box.y0 - 2) * EM / SIZE:.3f}em"
    )
    view = f"{box.x0 - 2:.1f} {-box.y1 - 2:.1f} {width:.1f} {height:.1f}"
    return (
        f'<svg role="img" aria-label="{escape(tex)}" viewBox="{view}" style="{style}" '
        f'fill="currentColor"><path d="{"".join(parts)}"/></svg>'
    )


def inline(self: Any, node: nodes.math) -> None:
    self.body.append(svg(node.astext()))
    raise nodes.SkipNode


def block(self: Any, node: nodes.math_block) -> None:
    """Each line of a block is a formula of its own."""
    lines = [line for line in node.astext().split(r"\\") if line.strip()]
    rows = "".join(f'<p style="margin:.5em 0 .5em 2em">{svg(x.strip())}</p>' for x in lines)
    self.body.append(f'<div class="math">{rows}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    logging.getLogger("matplotlib.mathtext").setLevel(logging.WARNING)
    app.add_html_math_renderer("mathtext", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
