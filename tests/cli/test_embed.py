"""``lowdim embed``: files in, files out."""

from __future__ import annotations

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import lowdim as ld
from lowdim.cli import main
from lowdim.cli._parser import _METHODS
from lowdim.embedding.methods import METHODS


def test_a_folder_gets_layout_picture_measures_and_report(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, out = cells.read_bytes(), tmp_path / "out"
    words = ["embed", str(cells), "--perplexity", "10", "--set", "max_iter=60", "--labels", "truth"]
    assert main([*words, "-o", str(out), "--json"]) == 0
    streams = capsys.readouterr()
    facts = json.loads(streams.out)
    assert "t-SNE" in streams.err  # the progress bar
    names = ["layout.png", "quality.csv", "report.html", "result.h5ad"]
    assert sorted(p.name for p in out.iterdir()) == names
    assert cells.read_bytes() == before
    expected = ad.read_h5ad(cells)
    ld.tl.embed(expected, params={"perplexity": 10, "max_iter": 60})
    result = ad.read_h5ad(facts["result"])
    np.testing.assert_array_equal(result.obsm["X_tsne"], expected.obsm["X_tsne"])
    table = ld.get.embedding_quality(expected, labels="truth")
    assert facts["quality"] == pytest.approx(table.loc["X_tsne"].to_dict())
    assert facts["kl_divergence"] == pytest.approx(expected.uns["tsne"]["kl_divergence"])
    kept = pd.read_csv(out / "quality.csv", index_col="layout")
    np.testing.assert_allclose(kept, table)
    page = (out / "report.html").read_text("utf-8")
    assert "Layout in cells.h5ad" in page and "trustworthiness" in page
    assert (out / "layout.png").read_bytes().startswith(b"\x89PNG")


def test_settings_reach_the_method(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "fit.h5ad"
    words = ["embed", str(cells), "--use-rep", "other", "-d", "1", "--init", "random", "--quiet"]
    words += ["--set", "dof=0.5", "--set", "method=exact", "--set", "max_iter=20"]
    words += [
        "--landmarks",
        "0.8",
        "--perplexity",
        "8.5",
        "--random-state",
        "7",
        "--key",
        "X_mine",
        "--n-jobs",
        "1",
    ]
    assert main([*words, "-o", str(out)]) == 0
    streams = capsys.readouterr()
    assert streams.err == ""
    assert "trustworthiness" in streams.out and 'obsm["other"]' in streams.out
    result = ad.read_h5ad(out)
    assert result.obsm["X_mine"].shape == (150, 1)
    params = result.uns["mine"]["params"]
    given = {
        "n_landmarks": 120,
        "dof": 0.5,
        "method": "exact",
        "max_iter": 20,
        "perplexity": 8.5,
        "init": "random",
    }
    assert {name: params[name] for name in given} == given
    assert params["random_state"] == 7 and params["n_jobs"] == 1
    assert sorted(tmp_path.iterdir()) == [cells, out]


def test_a_graph_in_the_file_is_laid_out(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lowdim.affinities import EntropicAffinity

    adata = ad.read_h5ad(cells)
    adata.obsp["own"] = EntropicAffinity(8).graph(adata.X).matrix
    adata.write_h5ad(cells)
    out = tmp_path / "out"
    words = ["embed", str(cells), "--neighbors", "own", "--set", "max_iter=60", "--quiet"]
    assert main([*words, "-o", str(out), "--color", "truth", "--color", "0"]) == 0
    assert "graph 'own'" in capsys.readouterr().out
    assert "“own”" in (out / "report.html").read_text("utf-8")


def test_the_methods_are_those_of_the_library() -> None:
    assert tuple(name.replace("-", "_") for name in _METHODS) == tuple(METHODS)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--method", "tsn"], 2, "invalid choice"),
        (["--set", "perplexity"], 2, "not a parameter"),
        (["--neighbors", "n", "--use-rep", "other"], 2, "leave out"),
        (["--neighbors", "n", "--landmarks", "90"], 2, "have no place"),
        (["--landmarks", "1.5"], 2, "neither a whole number above 1 nor a share"),
        (["--set", "perplexty=3"], 1, "perplexty"),
        (["--perplexity", "0"], 2, "above 0"),
        (["--labels", "none"], 1, "--labels none"),
        (["--neighbors", "none"], 1, "leads to no graph"),
    ],
)
def test_what_makes_no_sense_is_told(
    words: list[str],
    code: int,
    message: str,
    cells: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "fit.h5ad"
    assert main(["embed", str(cells), *words, "-o", str(out)]) == code
    assert message in capsys.readouterr().err
    assert not out.exists()
