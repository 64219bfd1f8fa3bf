"""What every test may ask for."""

import os
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that need a CUDA device where there is none."""
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not on_gpu:
        return
    import torch

    if not torch.cuda.is_available():
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(scope="session")
def datasets() -> Path:
    """A folder of real datasets beside the project, or where LOWDIM_DATASETS points."""
    folder = Path(os.environ.get("LOWDIM_DATASETS", ROOT.parent / "shared" / "datasets"))
    if not folder.is_dir():
        pytest.skip("needs a folder of datasets: set LOWDIM_DATASETS")
    return folder


@pytest.fixture(scope="session")
def tissue_once() -> ad.AnnData:
    """Counts on a 12 x 12 grid: two smooth factors and one that is not, with ten genes each."""
    rng = np.random.default_rng(0)
    side = 12
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)
    x, y = grid.T / side
    factors = np.stack(
        [
            4 * np.exp(-20 * ((x - 0.25) ** 2 + (y - 0.3) ** 2)),
            4.0 * (x + y > 1.2),
            4.0 * (rng.random(side**2) < 0.2),
        ],
        axis=1,
    )
    counts = rng.poisson(0.2 + 2 * factors @ np.kron(np.eye(3), np.ones((1, 10))))
    adata = ad.AnnData(np.log1p(counts).astype(np.float32))
    adata.layers["counts"] = counts.astype(np.float32)
    adata.obsm["spatial"] = grid * 50.0
    adata.obsm["truth"] = factors
    adata.obs["slide"] = np.where(np.arange(side**2) < 72, "a", "b")
    adata.obs["half"] = np.where(x < 0.5, "left <1>", "right &2")
    adata.var_names = [f"{kind}{j}" for kind in ("spot", "band", "odd") for j in range(10)]
    return adata


@pytest.fixture
def tissue(tissue_once: ad.AnnData) -> ad.AnnData:
    """The counts, not yet fitted."""
    return tissue_once.copy()


@pytest.fixture(scope="session")
def factorized_once(tissue_once: ad.AnnData) -> ad.AnnData:
    import lowdim as ld

    return ld.tl.spatial_factors(tissue_once, 3, "nsfh", n_spatial=2, copy=True)


@pytest.fixture
def factorized(factorized_once: ad.AnnData) -> ad.AnnData:
    """The counts with a hybrid fit of three factors, two of them spatial."""
    return factorized_once.copy()
