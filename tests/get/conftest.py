"""An AnnData with the results of a fit to planted subspaces."""

import anndata as ad
import numpy as np
import pytest

import lowdim as ld
from lowdim.data import subspaces as simulate


@pytest.fixture(scope="module")
def fitted_once() -> ad.AnnData:
    simulated = simulate([150, 100, 80], dims=[2, 1, 0], n_columns=6, random_state=0)
    adata = ad.AnnData(simulated.X + 3.0)
    adata.var_names = [f"g{i}" for i in range(6)]
    adata.obs["truth"] = [f"type {label}" for label in simulated.labels]
    adata.obsm["other"] = np.tanh(simulated.X[:, :3] / 10)
    ld.tl.subspaces(adata, dims=[2, 1, 0], init=simulated.labels)
    return adata


@pytest.fixture
def adata(fitted_once: ad.AnnData) -> ad.AnnData:
    """330 rows, six genes; components 0, 1, 2 are a plane, a line and a point."""
    return fitted_once.copy()
