"""What the page on spatial tools tells to type runs, and finds what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import lowdim as ld

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "spatial_tools.md"


def test_what_the_page_tells_to_type_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    assert names["found"].n_factors_ == 4
    assert names["table"]["model"].tolist() == ["nsf", "nsfh"]
    assert names["per_gene"].shape == (50,)
    assert (tmp_path / "fits.csv").exists()


def test_pages_name_all_that_is_public() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in ld.pp.__all__:
        assert name in page, name
    page += (DOCS / "embeddings.md").read_text(encoding="utf-8")
    for name in ld.metrics.__all__:
        assert name in page, name
