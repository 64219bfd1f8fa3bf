"""Counts of two samples, with all that is awkward: empty rows and genes, and one that is all."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def awkward() -> ad.AnnData:
    """40 rows x 6 genes: g0 varies, g1 follows the totals, g2 is empty, g3 is one count."""
    rng = np.random.default_rng(0)
    depth = rng.integers(1, 6, size=40)
    counts = np.zeros((40, 6))
    counts[:, 0] = rng.poisson(20 * (np.arange(40) % 2))
    counts[:, 1] = 10 * depth
    counts[3, 3] = 1
    counts[:, 4:] = rng.poisson(3 * depth[:, None], size=(40, 2))
    counts[7] = 0
    obs = pd.DataFrame({"slide": ["a"] * 25 + ["b"] * 15}, index=[f"r{i}" for i in range(40)])
    adata = ad.AnnData(counts.astype(np.float32), obs=obs)
    adata.obsm["spatial"] = rng.integers(0, 500, size=(40, 2))
    return adata
