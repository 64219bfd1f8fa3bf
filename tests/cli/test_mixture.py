"""``lowdim mixture``: files in, files out."""

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import lowdim as ld
from lowdim.cli import main


def test_folder_gets_result_and_report(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = cells.read_bytes()
    out = tmp_path / "new" / "out"
    words = ["mixture", str(cells), "-k", "1-3", "-o", str(out), "--labels", "truth", "--json"]
    assert main(words) == 0
    streams = capsys.readouterr()
    facts = json.loads(streams.out)
    assert "sizes" in streams.err  # the progress bar
    assert sorted(p.name for p in out.iterdir()) == ["report.html", "result.h5ad"]
    assert cells.read_bytes() == before
    adata = ad.read_h5ad(facts["result"])
    expected = ad.read_h5ad(cells)
    ld.tl.mixture(expected, n_components=range(1, 4))
    assert (adata.obs["mixture"] == expected.obs["mixture"]).all()
    assert facts["family"] == "gaussian"
    assert facts["criterion"] == "bic"
    assert facts["sizes_tried"] == [1, 2, 3]
    assert facts["bic"] == pytest.approx(expected.uns["mixture"]["criteria"]["bic"])
    assert sum(facts["sizes"]) == 150
    assert facts["n_components"] == len(facts["sizes"]) == 2
    assert facts["ari"] > 0.9
    assert "cells.h5ad" in (out / "report.html").read_text("utf-8")


def test_settings_reach_the_estimator(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "fit.h5ad"
    words = ["mixture", str(cells), "--covariance-type", "low_rank", "--rank", "2", "-k", "2"]
    words += ["--use-rep", "other", "--n-init", "2", "--random-state", "7", "--key", "mine"]
    assert main([*words, "--quiet", "-o", str(out)]) == 0
    assert capsys.readouterr().err == ""
    params = ad.read_h5ad(out).uns["mine"]["params"]
    given = {"covariance_type": "low_rank", "rank": 2, "n_components": 2, "n_init": 2}
    assert {name: params[name] for name in given} == given
    assert params["random_state"] == 7
    assert params["use_rep"] == "other"
    assert not out.with_suffix(".html").exists()


@pytest.mark.parametrize("family", ["kmeans", "soft-kmeans"])
def test_clusters(
    family: str, cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "fit.h5ad"
    words = ["mixture", str(cells), "--family", family, "-k", "2,3", "--quiet", "-o", str(out)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "chosen by the elbow of the objective from 2, 3" in printed
    assert "BIC" not in printed
    assert ad.read_h5ad(out).uns["mixture"]["cluster_centers"].shape[1] == 5


def test_counts(cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    adata = ad.read_h5ad(cells)
    adata.layers["counts"] = rng.poisson(np.exp(np.clip(adata.X, -3, 4))).astype(np.float32)
    adata.write_h5ad(cells)
    out = tmp_path / "out"
    words = ["mixture", str(cells), "--family", "negative-binomial", "--layer", "counts"]
    assert main([*words, "-k", "2", "--n-init", "1", "--quiet", "-o", str(out)]) == 0
    assert "negative binomial" in capsys.readouterr().out
    page = (out / "report.html").read_text("utf-8")
    assert "Negative-binomial mixture" in page
    assert "not normalised" in page
    assert main([*words[:4], "-k", "2", "-o", str(out)]) == 1
    assert "counts" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-k", "0"], "not a number of components"),
        (["-k", "5-2"], "not a number of components"),
        (["-k", "a"], "not a number of components"),
        (["--family", "kmeans", "--covariance-type", "full"], "--covariance-type is not for"),
        (["--rank", "2"], "--rank is for"),
        (["-k", "3", "--criterion", "bic"], "--criterion is for several"),
        (["--family", "round"], "invalid choice"),
    ],
)
def test_what_makes_no_sense_is_told(
    words: list[str],
    message: str,
    cells: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "fit.h5ad"
    assert main(["mixture", str(cells), *words, "-o", str(out)]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()
