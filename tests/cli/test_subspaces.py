"""``lowdim subspaces``: files in, files out."""

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import lowdim as ld
from lowdim.cli import main


def digest(path: Path) -> bytes:
    return path.read_bytes()


def test_folder_gets_result_and_report(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = digest(cells)
    out = tmp_path / "new" / "out"
    words = ["subspaces", str(cells), "--dims", "2,1", "-o", str(out), "--labels", "truth"]
    assert main([*words, "--n-init", "3", "--json"]) == 0
    streams = capsys.readouterr()
    facts = json.loads(streams.out)
    assert "EM" in streams.err  # the progress bar
    assert sorted(p.name for p in out.iterdir()) == ["report.html", "result.h5ad"]
    assert digest(cells) == before

    adata = ad.read_h5ad(facts["result"])
    record = adata.uns["subspaces"]
    assert facts["dims"] == record["dims"].tolist() == [2, 1]
    assert facts["bic"] == pytest.approx(record["criteria"]["bic"])
    assert facts["n_rows"] == 150
    assert sum(facts["sizes"]) == 150
    assert facts["ari"] == 1.0
    assert facts["purity"] == 1.0
    assert facts["n_mixtures_tried"] is None
    assert Path(facts["report"]) == out / "report.html"
    np.testing.assert_array_equal(adata.X, ad.read_h5ad(cells).X)
    assert "cells.h5ad" in (out / "report.html").read_text("utf-8")


def test_result_is_that_of_the_library(cells: Path, tmp_path: Path) -> None:
    out = tmp_path / "fit.h5ad"
    words = ["subspaces", str(cells), "-k", "2", "--dims", "1", "--use-rep", "other"]
    assert main([*words, "--n-init", "2", "--random-state", "7", "--quiet", "-o", str(out)]) == 0
    assert not out.with_suffix(".html").exists()
    expected = ad.read_h5ad(cells)
    ld.tl.subspaces(expected, 2, 1, use_rep="other", n_init=2, random_state=7)
    got = ad.read_h5ad(out)
    assert (got.obs["subspaces"] == expected.obs["subspaces"]).all()
    np.testing.assert_allclose(
        got.uns["subspaces"]["means"], expected.uns["subspaces"]["means"], rtol=1e-6
    )


def test_search(cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "fit.h5ad"
    words = ["subspaces", str(cells), "--auto", "-k", "2", "--n-init", "2", "--key", "mine"]
    assert main([*words, "--report", "--quiet", "-o", str(out)]) == 0
    streams = capsys.readouterr()
    assert streams.err == ""
    assert "dimensions" in streams.out
    assert str(out.with_suffix(".html")) in streams.out
    assert out.with_suffix(".html").is_file()
    adata = ad.read_h5ad(out)
    assert adata.uns["mine"]["dims"].tolist() == [2, 1]
    assert len(ld.get.selection(adata, "mine")) > 1


def test_a_fit_forgets_the_search_before_it(cells: Path, tmp_path: Path) -> None:
    adata = ad.read_h5ad(cells)
    ld.tl.select_subspaces(adata, 2, 1, n_init=1, use_rep="other")
    adata.write_h5ad(cells)
    out = tmp_path / "fit.h5ad"
    assert main(["subspaces", str(cells), "-k", "1", "--quiet", "-o", str(out)]) == 0
    assert "subspaces_selection" not in ad.read_h5ad(out).uns


def test_sparse_layer(cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "fit.h5ad"
    words = ["subspaces", str(cells), "--layer", "sparse", "-k", "2", "--quiet", "--json"]
    assert main([*words, "--n-init", "1", "-o", str(out)]) == 0
    assert json.loads(capsys.readouterr().out)["matrix"] == 'layers["sparse"]'


def test_the_input_is_never_overwritten(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = digest(cells)
    link = tmp_path / "link.h5ad"
    link.symlink_to(cells)
    for output in (str(cells), str(link), str(tmp_path / "." / "cells.h5ad")):
        assert main(["subspaces", str(cells), "--dims", "1", "-o", output]) == 2
        assert "would overwrite the input" in capsys.readouterr().err
    assert digest(cells) == before


@pytest.mark.parametrize(
    ("extra", "code", "message"),
    [
        (["-o", "out.html"], 2, "must be a .h5ad file, a .zarr store or a folder"),
        (["-o", "out", "--dims", "2,1", "-k", "3"], 2, "--n-components is 3"),
        (["-o", "out", "--labels", "nothing"], 1, "has ['truth']"),
        (["-o", "out", "--use-rep", "nothing"], 1, "use_rep='nothing'"),
        (["-o", "out", "--dims", "9"], 1, "9"),
    ],
)
def test_errors_write_nothing(
    extra: list[str],
    code: int,
    message: str,
    cells: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["subspaces", str(cells), *extra]) == code
    streams = capsys.readouterr()
    assert streams.out == ""
    assert message in streams.err
    assert "Traceback" not in streams.err
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [cells]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing.h5ad", "There is no file"),
        ("a.csv", "is neither a .h5ad file nor the folder of a .zarr store"),
        ("b.h5ad", "b.h5ad"),
    ],
)
def test_inputs_that_cannot_be_read(
    name: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text("a,b\n")
    (tmp_path / "b.h5ad").write_text("not HDF5")
    words = ["subspaces", str(tmp_path / name), "-k", "1", "-o", str(tmp_path / "out")]
    assert main(words) == 1
    assert message in capsys.readouterr().err


def test_a_failed_write_leaves_the_former_result(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "fit.h5ad"
    out.write_text("the former")

    def write_h5ad(self: ad.AnnData, path: Path) -> None:
        path.write_text("half of")
        raise OSError("disk full")

    monkeypatch.setattr(ad.AnnData, "write_h5ad", write_h5ad)
    assert main(["subspaces", str(cells), "-k", "1", "--quiet", "-o", str(out)]) == 1
    assert out.read_text() == "the former"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cells.h5ad", "fit.h5ad"]
