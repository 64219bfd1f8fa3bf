"""The numbers that the page draws, and the script that draws them."""

import shutil
import subprocess
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import lowdim as ld
from lowdim.data import as_rows
from lowdim.pl._fitted import read_fit
from lowdim.report import _view3d
from lowdim.report._components import describe

SCRIPT = Path(_view3d.__file__).parent / "assets" / "view3d.js"


def scene_of(adata: ad.AnnData) -> dict:
    fit = read_fit(adata)
    components = describe(adata, fit, "subspaces", None)
    return _view3d.scene(adata, as_rows(adata), fit, components, "subspaces", None)


def test_three_columns_are_drawn_as_they_are() -> None:
    planted = ld.data.subspaces([90, 60, 40], dims=[2, 1, 0], n_columns=3, random_state=0)
    adata = ad.AnnData(planted.X)
    ld.tl.subspaces(adata, dims=[2, 1, 0], init=planted.labels)
    scene = scene_of(adata)
    points = np.array(scene["points"]).reshape(-1, 3)
    assert np.abs(points).max() == 1000
    # One scale for all axes, so that angles stay what they are.
    middle = (adata.X.max(0) + adata.X.min(0)) / 2
    scale = 1000 / np.abs(adata.X - middle).max()
    np.testing.assert_allclose(points, (adata.X - middle) * scale, atol=0.51)
    assert [flat["shape"] for flat in scene["flats"]] == ["disc", "line", "point"]
    record = adata.uns["subspaces"]
    line = scene["flats"][1]
    expected = 2 * scale * np.sqrt(record["latent_variances"][2]) * record["bases"][2]
    np.testing.assert_allclose(line["axes"][0], expected, atol=0.51)
    np.testing.assert_allclose(line["middle"], (record["means"][1] - middle) * scale, atol=0.51)
    noise = 2 * scale * np.sqrt(record["noise_variances"][2])
    np.testing.assert_allclose(np.linalg.norm(scene["flats"][2]["axes"], axis=1), noise, atol=1)


def test_many_rows_are_sampled_and_columns_projected() -> None:
    rng = np.random.default_rng(0)
    adata = ad.AnnData(rng.normal(size=(6_000, 6)) * np.arange(6, 0, -1))
    ld.tl.subspaces(adata, dims=[4], n_init=1)
    scene = scene_of(adata)
    assert scene["total"] == 6_000
    assert len(scene["component"]) == len(scene["confidence"]) == 5_000
    assert len(scene["points"]) == 15_000
    assert scene["flats"][0]["shape"] == "ellipsoid"
    assert len(scene["flats"][0]["axes"]) == 3
    assert scene["axes"][0].startswith("PC 1")


def test_one_column_lies_on_a_line() -> None:
    adata = ad.AnnData(np.random.default_rng(0).normal(size=(40, 1)))
    ld.tl.subspaces(adata, dims=[0], n_init=1)
    points = np.array(scene_of(adata)["points"]).reshape(-1, 3)
    assert not points[:, 1:].any()


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_script_parses() -> None:
    subprocess.run(["node", "--check", str(SCRIPT)], check=True)


def chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.slow
@pytest.mark.skipif(chromium() is None, reason="needs chromium")
def test_browser_draws_every_row(searched: ad.AnnData, tmp_path: Path) -> None:
    path = ld.report.write(searched, tmp_path / "report.html")
    result = subprocess.run(
        [
            str(chromium()),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--enable-logging=stderr",
            "--v=0",
            "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert 'data-drawn="190"' in result.stdout
    assert "CONSOLE" not in result.stderr
