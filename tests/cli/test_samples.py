"""``lowdim samples``: files in, files out."""

from __future__ import annotations

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import lowdim as ld
from lowdim.cli import main


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Twelve samples of two labels, in no order."""
    adata = ld.data.simulate_cohort(
        12, 40, 4, n_components=3, signal="mean", separation=6.0, random_state=0
    )
    adata.obsm["rep"] = adata.X[:, :3].copy()
    path = tmp_path / "cohort.h5ad"
    adata.write_h5ad(path)
    return path


def test_a_folder_gets_result_report_and_tables(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, out = cohort.read_bytes(), tmp_path / "out"
    words = ["samples", str(cohort), "--sample-key", "sample", "--label-key", "label"]
    words += ["--components", "2,3", "--n-permutations", "2", "-o", str(out), "--json", "--quiet"]
    assert main(words) == 0
    facts = json.loads(capsys.readouterr().out)
    names = ["predictions.csv", "report.html", "result.h5ad", "sample_distances.csv"]
    assert sorted(p.name for p in out.iterdir()) == names
    assert cohort.read_bytes() == before
    adata = ad.read_h5ad(cohort)
    ld.tl.fit_gmm(adata, sample_key="sample", k_comps=[2, 3], gmm_key="gmm", verbose=False)
    ld.tl.sample_distances(adata, gmm_key="gmm")
    expected = ld.get.sample_distances(adata)
    table = pd.read_csv(out / "sample_distances.csv", index_col="sample")
    np.testing.assert_allclose(table, expected)
    assert list(table.columns) == list(expected.columns)
    result = ad.read_h5ad(facts["result"])
    np.testing.assert_array_equal(ld.get.sample_distances(result), expected)
    assert facts["n_samples"] == 12
    assert set(facts["n_components"].values()) <= {2, 3}
    found = ld.get.sample_validation(result)
    said = facts["validation"]["mw2 of mixtures"]
    assert said["balanced_accuracy"] == found["mw2 of mixtures"].score
    assert 0 < said["p_value"] <= 1
    predictions = pd.read_csv(out / "predictions.csv")
    assert set(predictions["distances"]) == {"sample means", "mw2 of mixtures"}
    assert "cohort.h5ad" in (out / "report.html").read_text("utf-8")


def test_a_metric_is_learned_and_judged(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["samples", str(cohort), "--sample-key", "sample", "--label-key", "label", "--metric"]
    words += ["-k", "2", "--use-rep", "rep", "--no-report", "-o", str(out), "--quiet"]
    words += ["--eps", "1e-3", "--alpha", "2.5", "--epochs", "7"]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "learned metric" in text
    result = ad.read_h5ad(out / "result.h5ad")
    record = result.uns["ground_metric"]
    assert record["components"].shape == (2, 3)
    assert (record["params"]["alpha"], record["params"]["max_iter"]) == (2.5, 7)
    assert result.uns["gmm"]["fit_params"]["eps"] == 1e-3
    assert list(ld.get.sample_validation(result))[-1] == "learned metric"
    table = pd.read_csv(out / "metric_distances.csv", index_col="sample")
    np.testing.assert_allclose(table, result.uns["ground_metric"]["distances"])
    assert not (out / "report.html").exists()


def test_without_labels(cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "fit.h5ad"
    words = ["samples", str(cohort), "--sample-key", "sample", "-k", "2", "--cost", "mixed"]
    assert main([*words, "--key", "own", "--quiet", "-o", str(out)]) == 0
    assert "12 samples" in capsys.readouterr().out
    result = ad.read_h5ad(out)
    assert result.uns["own"]["params"]["cost"] == "mixed"
    assert "sample_validation" not in result.uns
    assert not out.with_suffix(".html").exists()
    report = tmp_path / "report.html"
    assert main(["report", str(out), "--key", "own", "-o", str(report), "--quiet"]) == 0
    assert "12 samples" in report.read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--sample-key", "sample", "--metric"], 2, "--metric needs --label-key"),
        (["--sample-key", "sample", "--group-key", "batch"], 2, "--group-key needs --label-key"),
        (["--sample-key", "sample", "--axes", "2"], 2, "--axes is for --metric"),
        (["--sample-key", "sample", "--alpha", "2"], 2, "--alpha is for --metric"),
        (["--sample-key", "sample", "--epochs", "2"], 2, "--epochs is for --metric"),
        (["--sample-key", "sample", "--eps", "0"], 2, "'0' is not a number above 0"),
        (["--sample-key", "donor"], 1, "--sample-key donor is not a column of obs"),
        (["--sample-key", "sample", "--label-key", "x"], 1, "--label-key x is not a column"),
        (["--sample-key", "sample", "--label-key", "component"], 1, "differs within 'sample_00'"),
        ([], 2, "--sample-key"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str],
    code: int,
    message: str,
    cohort: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert main(["samples", str(cohort), *words, "--quiet", "-o", str(out)]) == code
    assert message in capsys.readouterr().err
    assert not (out / "result.h5ad").exists()
