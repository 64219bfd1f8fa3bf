"""``lowdim report``."""

import json
from pathlib import Path

import anndata as ad
import pytest

import lowdim as ld
from lowdim.cli import main


@pytest.fixture
def result(cells: Path) -> Path:
    adata = ad.read_h5ad(cells)
    ld.tl.subspaces(adata, dims=[2, 1], n_init=1)
    path = cells.with_name("result.h5ad")
    adata.write_h5ad(path)
    return path


def test_report(result: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "report.html"
    words = ["report", str(result), "-o", str(out), "--labels", "truth", "--title", "Mine & yours"]
    assert main([*words, "--json", "--quiet"]) == 0
    streams = capsys.readouterr()
    assert json.loads(streams.out)["report"] == str(out)
    assert streams.err == ""
    assert "Mine &amp; yours" in out.read_text("utf-8")


def test_errors(
    result: Path, cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "report.html")
    assert main(["report", str(cells), "-o", out]) == 1
    assert "adata.uns has no 'subspaces'" in capsys.readouterr().err
    assert main(["report", str(result), "-o", out, "--labels", "nothing"]) == 1
    assert "labels='nothing'" in capsys.readouterr().err
    assert main(["report", str(result), "-o", str(result)]) == 2
    assert main(["report", str(result), "-o", str(tmp_path)]) == 2
    assert not Path(out).exists()
