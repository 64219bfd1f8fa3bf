"""An AnnData with hostile names, a search and the fit that it chose."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import lowdim as ld
from lowdim.data import subspaces as simulate

HOSTILE = "<script>alert('x')</script>&\"g\" </textarea>"


@pytest.fixture(scope="session")
def searched_once() -> ad.AnnData:
    simulated = simulate([80, 60, 50], dims=[2, 1, 0], n_columns=5, random_state=0)
    adata = ad.AnnData(simulated.X + 3.0)
    adata.var_names = [f"{HOSTILE}{i}" for i in range(5)]
    names = np.array(["type <0>", "type &1", "</script><b>2"])
    adata.obs[HOSTILE] = pd.Categorical(names[simulated.labels])
    adata.uns["preprocessing"] = f"nothing but {HOSTILE}"
    ld.tl.select_subspaces(adata, n_components=[2, 3], dims=2, n_init=3)
    return adata


@pytest.fixture
def searched(searched_once: ad.AnnData) -> ad.AnnData:
    """190 rows, five genes; components 0, 1, 2 are a plane, a line and a point."""
    return searched_once.copy()
