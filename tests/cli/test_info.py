"""``lowdim info``."""

import json
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pytest

import lowdim as ld
from lowdim.cli import main


def test_installation(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["versions"]["lowdim"] == ld.__version__
    assert facts["versions"]["numpy"] == np.__version__
    assert facts["devices"][0] == "cpu"


def test_contents(cells: Path, capsys: pytest.CaptureFixture[str]) -> None:
    adata = ad.read_h5ad(cells)
    ld.tl.select_subspaces(adata, 2, 1, n_init=1, use_rep="other")
    adata.obs["truth"] = adata.obs["truth"].astype("category")
    adata.write_h5ad(cells)
    assert main(["info", str(cells), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["n_rows"], facts["n_columns"]) == (150, 5)
    assert facts["X"] == {"shape": [150, 5], "dtype": "float64", "zeros": None, "kind": "array"}
    zeros = (adata.layers["sparse"].toarray() == 0).mean()
    assert facts["layers"]["sparse"]["zeros"] == pytest.approx(zeros)
    assert facts["obsm"]["other"]["shape"] == [150, 3]
    assert facts["obs"]["truth"] == {"dtype": "category", "n_unique": 2}
    fit = facts["fits"]["subspaces"]
    assert fit["dims"] == adata.uns["subspaces"]["dims"].tolist()
    assert fit["matrix"] == "other"
    assert facts["searches"]["subspaces"]["criterion"] == "bic"

    assert main(["info", str(cells)]) == 0
    text = capsys.readouterr().out
    assert "150 x 5" in text
    assert 'fit "subspaces"' in text
    assert f"{facts['searches']['subspaces']['n_mixtures']} mixtures, by bic" in text


def test_fits_of_every_kind_are_told(cells: Path, capsys: pytest.CaptureFixture[str]) -> None:
    adata = ad.read_h5ad(cells)
    ld.tl.mixture(adata, "gaussian", n_components=2, use_rep="other")
    adata.obsm["spatial"] = np.random.default_rng(0).uniform(size=(150, 2))
    ld.tl.spatial_factors(adata, 2, "rsf", layer=None)
    adata.write_h5ad(cells)
    assert main(["info", str(cells), "--json"]) == 0
    fits = json.loads(capsys.readouterr().out)["fits"]
    assert fits["mixture"]["family"] == "gaussian"
    assert fits["mixture"]["objective"] == pytest.approx(adata.uns["mixture"]["objective"])
    assert (fits["spatial_factors"]["n_factors"], fits["spatial_factors"]["n_spatial"]) == (2, 2)
    assert main(["info", str(cells)]) == 0
    text = capsys.readouterr().out
    assert "2 factors, 2 of them spatial (rsf)" in text
    assert 'fit "mixture"' in text


def test_a_bare_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bare.h5ad"
    ad.AnnData(shape=(3, 2)).write_h5ad(path)
    assert main(["info", str(path)]) == 0
    assert "3 x 2" in capsys.readouterr().out


def test_other_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.h5ad"
    with h5py.File(path, "w") as file:
        file["x"] = np.ones(3)
    assert main(["info", str(path)]) == 1
    assert "it has no obs and var" in capsys.readouterr().err
    assert main(["info", str(tmp_path)]) == 1
    path.write_bytes(b"nothing")
    assert main(["info", str(path)]) == 1
    assert "cannot be read" in capsys.readouterr().err
