"""``lowdim spatial``: files in, files out."""

from __future__ import annotations

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import lowdim as ld
from lowdim.cli import main

KEY = "spatial_factors"


@pytest.fixture
def spots(tissue: ad.AnnData, tmp_path: Path) -> Path:
    path = tmp_path / "spots.h5ad"
    tissue.write_h5ad(path)
    return path


def test_a_folder_gets_result_report_and_tables(
    spots: Path, tissue: ad.AnnData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, out = spots.read_bytes(), tmp_path / "out"
    sets = tmp_path / "sets.gmt"
    sets.write_text("odd\tx\t" + "\t".join(f"odd{j}" for j in range(10)))
    words = ["spatial", str(spots), "-n", "3", "--n-spatial", "2", "--size-factors", "mean"]
    words += ["--labels", "half", "--gene-sets", str(sets), "-o", str(out), "--json"]
    assert main(words) == 0
    streams = capsys.readouterr()
    facts = json.loads(streams.out)
    assert "factors" in streams.err  # the progress bar
    names = ["factors.csv", "gene_sets.csv", "report.html", "result.h5ad", "top_genes.csv"]
    assert sorted(p.name for p in out.iterdir()) == names
    assert spots.read_bytes() == before
    ld.tl.spatial_factors(tissue, 3, "nsfh", n_spatial=2, size_factors="mean")
    result = ad.read_h5ad(facts["result"])
    np.testing.assert_array_equal(result.obsm[KEY], tissue.obsm[KEY])
    assert (facts["model"], facts["n_factors"], facts["n_spatial"]) == ("nsfh", 3, 2)
    assert facts["matrix"] == 'layers["counts"]'
    assert [row["kind"] for row in facts["factors"]] == ["spatial", "spatial", "nonspatial"]
    table = pd.read_csv(out / "factors.csv", index_col="factor")
    np.testing.assert_allclose(table["moran"], ld.get.factors(tissue)["moran"])
    best = pd.read_csv(out / "gene_sets.csv").sort_values("p_value").iloc[0]
    assert (best["factor"], best["gene_set"]) == (2, "odd")
    assert "spots.h5ad" in (out / "report.html").read_text("utf-8")


def test_settings_reach_the_fit(
    spots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "fit.h5ad"
    words = ["spatial", str(spots), "-n", "2", "--likelihood", "negative_binomial", "--key", "own"]
    words += ["--length-scale", "120", "--inducing", "50", "--random-state", "3", "--quiet"]
    assert main([*words, "-o", str(out)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "factor 1" in printed.out
    assert "2, 2 of them spatial" in printed.out
    params = ad.read_h5ad(out).uns["own"]["params"]
    wanted = {
        "n_factors": 2, "likelihood": "negative_binomial", "length_scale": 120.0,
        "inducing": 50, "random_state": 3,
    }  # fmt: skip
    assert {name: params[name] for name in wanted} == wanted
    assert not out.with_suffix(".html").exists()
    assert not list(tmp_path.glob("*.csv"))


def test_the_genes_of_largest_deviance(
    spots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("lowdim.pp")
    out = tmp_path / "fit.h5ad"
    words = ["spatial", str(spots), "-n", "2", "--top-genes", "12", "-o", str(out)]
    assert main(words) == 0
    assert "fitting the 12 genes of largest deviance" in capsys.readouterr().err
    assert ad.read_h5ad(out).shape == (144, 12)


def test_the_report_can_be_written_later(
    spots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit, page = tmp_path / "fit.h5ad", tmp_path / "page.html"
    assert main(["spatial", str(spots), "-n", "2", "--quiet", "-o", str(fit)]) == 0
    assert main(["report", str(fit), "--key", KEY, "--quiet", "-o", str(page)]) == 0
    assert "2 factors in 144 rows" in page.read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["-n", "0"], 2, "whole number"),
        (["--length-scale", "-3"], 2, "not a number above 0"),
        (["--model", "nsf", "--n-spatial", "2"], 2, "--n-spatial is for --model nsfh"),
        (["--gene-sets", "none.gmt"], 2, "no file 'none.gmt'"),
        (["--labels", "none"], 1, "--labels none is not a column"),
        (["--layer", "raw"], 1, "layer='raw' is not in adata.layers"),
        (["--spatial-key", "place"], 1, "spatial_key='place'"),
    ],
)
def test_mistakes_are_told(
    spots: Path,
    tmp_path: Path,
    words: list[str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "fit.h5ad"
    assert main(["spatial", str(spots), *words, "--quiet", "-o", str(out)]) == code
    assert message in capsys.readouterr().err
    assert not out.exists()
