"""Configurations from a file, fitted to a file."""

from __future__ import annotations

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import lowdim as ld
from lowdim.cli import main
from lowdim.cli._grid import run_grid


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    adata = ad.AnnData(rng.normal(size=(50, 4)))
    adata.layers["counts"] = rng.poisson(3.0, size=(50, 4)).astype(float)
    adata.obsm["spatial"] = rng.uniform(size=(50, 2))
    ld.pp.train_test_split(adata, 0.8)
    adata.write_h5ad(tmp_path / "data.h5ad")
    return tmp_path / "data.h5ad"


def test_files_in_and_a_table_out(stored: Path, tmp_path: Path) -> None:
    configurations = tmp_path / "fits.json"
    grid = {"model": "nsf", "n_factors": [1, 2], "n_init": 1, "random_state": 0}
    configurations.write_text(json.dumps(grid))
    output = tmp_path / "fits.csv"
    table = run_grid(
        str(stored), str(configurations), output, layer="counts", train_key="train", verbose=0
    )
    assert table["n_train"].tolist() == [40, 40]
    assert table["error"].isna().all()
    assert pd.read_csv(output)["n_factors"].tolist() == [1, 2]


def test_the_command_tells_of_the_best_fit(
    stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configurations = tmp_path / "fits.json"
    fits = [
        {"model": "pnmf", "n_factors": 1, "n_init": 1},
        {"model": "fa", "n_factors": 1, "likelihood": "poisson"},
        {"model": "nsf", "n_factors": 60, "inducing": "none"},
    ]
    configurations.write_text(json.dumps(fits))
    output = tmp_path / "fits.csv"
    command = ["grid", str(stored), str(configurations), "-o", str(output), "--layer", "counts"]
    assert main([*command, "--train-key", "train", "--quiet", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    table = pd.read_csv(output)
    assert (told["n_fits"], told["n_failed"]) == (3, 1)
    assert "inducing" in table["error"][2]
    assert told["best"]["deviance_held_out"] == table["deviance_held_out"].min()
    assert main([*command, "--train-key", "train", "--quiet"]) == 0  # nothing to do but the failure
    assert "3, 1 of them failed" in capsys.readouterr().out


def test_counts_are_the_layer_by_default_and_a_failure_says_why(
    stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configurations = tmp_path / "fits.json"
    configurations.write_text(json.dumps({"model": "pnmf", "n_factors": 1, "n_init": 1}))
    command = ["grid", str(stored), str(configurations), "--quiet"]
    assert main([*command, "-o", str(tmp_path / "layer.csv")]) == 0
    assert "error" not in capsys.readouterr().out
    adata = ad.read_h5ad(stored)
    del adata.layers["counts"]
    adata.write_h5ad(stored)
    assert main([*command, "-o", str(tmp_path / "values.csv")]) == 1  # nothing worked
    told, said = capsys.readouterr()
    assert "first error" in told
    assert "X must hold counts" in told
    assert "error: None of the fits worked; the first: ValueError: Negative values in data" in said


def test_a_column_may_be_the_coordinate(stored: Path, tmp_path: Path) -> None:
    adata = ad.read_h5ad(stored)
    adata.obs["time"] = np.linspace(0, 1, adata.n_obs)
    adata.write_h5ad(stored)
    fit = {"model": "nsf", "n_factors": 1, "n_init": 1, "random_state": 0}
    table = run_grid(
        str(stored), [fit], tmp_path / "fits.csv", layer="counts", spatial_key="time", verbose=0
    )
    assert table["error"].isna().all()


def test_what_is_missing_is_named(stored: Path, tmp_path: Path) -> None:
    output = tmp_path / "fits.csv"
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ValueError, match="is not a JSON file"):
        run_grid(str(stored), tmp_path / "bad.json", output)
    with pytest.raises(ValueError, match=r"'xy' is neither in adata\.obsm"):
        run_grid(str(stored), [{"model": "nsf"}], output, spatial_key="xy")
    with pytest.raises(ValueError, match="'fit' is not a column of obs"):
        run_grid(str(stored), [{"model": "nsf"}], output, train_key="fit")
    assert not output.exists()
