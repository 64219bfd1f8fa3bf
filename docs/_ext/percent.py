"""Pages that are scripts: run when the pages are built, with their output and figures shown.

A script in percent format is a row of cells. ``# %% [markdown]`` begins text, in comments; ``# %%``
begins code. What a cell prints and the figures it leaves open follow it on the page. An exception
stops the build. Lines ``# data: NAME`` before the first cell say which files in the folder
LOWDIM_DATASETS the script reads; where one is not there, the page shows the code alone, and says
so.
"""

from __future__ import annotations

import base64
import io
import os
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

#: Beside the project, unless LOWDIM_DATASETS says otherwise.
DATASETS = Path(__file__).resolve().parents[2].parent / "shared" / "datasets"
CELL = re.compile(r"^# %%(.*)\n", flags=re.MULTILINE)
DATA = re.compile(r"^# data: (.+)\n", flags=re.MULTILINE)
NOT_RUN = """
```{note}
This page was built where the data are not at hand: it shows the code without what it prints.
```
"""


def cells(script: str) -> list[tuple[str, str]]:
    """Kind ("text" or "code") and content of every cell."""
    parts = CELL.split(script)
    pairs = zip(parts[1::2], parts[2::2], strict=True)
    return [("text" if "[markdown]" in kind else "code", body.strip()) for kind, body in pairs]


def as_text(body: str) -> str:
    """A text cell without its comment signs."""
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in body.splitlines())


def run(body: str, names: dict[str, Any], path: str) -> str:
    """A code cell as MyST, with what it printed and drew."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(body, path, "exec"), names)
    page = f"```python\n{body}\n```\n"
    if printed.getvalue().strip():
        page += f"\n```text\n{printed.getvalue().rstrip()}\n```\n"
    return page + "".join(f"\n{image}\n" for image in open_figures())


def open_figures() -> list[str]:
    """All open figures as images within the page; they are closed."""
    import matplotlib.pyplot as plt

    images = []
    for number in plt.get_fignums():
        data, figure = io.BytesIO(), plt.figure(number)
        figure.savefig(data, format="png", dpi=110, bbox_inches="tight")
        code = base64.b64encode(data.getvalue()).decode()
        titles = [ax.get_title() or ax.get_ylabel() for ax in figure.axes]
        alt = "Figure: " + "; ".join(filter(None, titles))
        images.append(f'<p><img alt="{alt}" src="data:image/png;base64,{code}"></p>')
    plt.close("all")
    return images


def has_data(script: str) -> bool:
    """Whether the files that a script names are there."""
    folder = Path(os.environ["LOWDIM_DATASETS"])
    return all((folder / name).is_file() for name in DATA.findall(CELL.split(script)[0]))


def execute(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace a script by its page."""
    path = Path(app.env.doc2path(docname))
    if path.suffix != ".py":
        return
    import matplotlib

    matplotlib.use("agg")
    os.environ.setdefault("LOWDIM_DATASETS", str(DATASETS))
    runs = has_data(source[0])
    names: dict[str, Any] = {"__name__": "__main__"}
    pages = [
        as_text(body)
        if kind == "text"
        else (run(body, names, str(path)) if runs else f"```python\n{body}\n```\n")
        for kind, body in cells(source[0])
    ]
    if not runs:
        pages.insert(1, NOT_RUN)
    source[0] = "\n\n".join(pages)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", execute)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
