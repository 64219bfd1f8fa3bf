"""A fitted toy, as an estimator and in an AnnData, and a check that plots leave no traces."""

from collections.abc import Iterator

import anndata as ad
import matplotlib
import numpy as np
import pytest

import lowdim as ld
from lowdim import SubspaceMixture
from lowdim.data import SimulatedSubspaces, subspaces, toy

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def clean_pyplot() -> Iterator[None]:
    """No plot changes a setting; figures are closed."""
    import matplotlib.pyplot as plt

    before = dict(matplotlib.rcParams)
    yield
    plt.close("all")
    assert dict(matplotlib.rcParams) == before


@pytest.fixture(scope="session")
def simulated() -> SimulatedSubspaces:
    """A plane, two lines and a blob in three columns."""
    return toy(0)


@pytest.fixture(scope="session")
def model(simulated: SimulatedSubspaces) -> SubspaceMixture:
    return SubspaceMixture(dims=[2, 1, 0, 1], init=simulated.labels).fit(simulated.X)


@pytest.fixture(scope="session")
def wide() -> SimulatedSubspaces:
    """A volume, a plane, a line and a point in twelve columns."""
    return subspaces([200, 150, 150, 100], dims=[3, 2, 1, 0], n_columns=12, random_state=0)


@pytest.fixture(scope="session")
def wide_model(wide: SimulatedSubspaces) -> SubspaceMixture:
    return SubspaceMixture(dims=[3, 2, 1, 0], init=wide.labels).fit(wide.X)


@pytest.fixture
def adata(wide: SimulatedSubspaces) -> ad.AnnData:
    """The twelve columns as genes, with a fit."""
    adata = ad.AnnData(wide.X.copy())
    adata.var_names = [f"g{j}" for j in range(12)]
    adata.obs["truth"] = np.array(["volume", "plane", "line", "point"])[wide.labels]
    adata.obs["depth"] = wide.X[:, 0]
    ld.tl.subspaces(adata, dims=[3, 2, 1, 0], init=wide.labels)
    return adata
