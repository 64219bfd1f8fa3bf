"""A small .h5ad file to work on."""

from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

from lowdim.data import subspaces as simulate


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """150 rows on a plane and a line in five columns, with labels, a layer and a representation."""
    simulated = simulate([90, 60], dims=[2, 1], n_columns=5, random_state=0)
    adata = ad.AnnData(simulated.X + 3.0)
    adata.obs["truth"] = [f"type {label}" for label in simulated.labels]
    adata.layers["sparse"] = sp.csr_matrix(np.maximum(simulated.X, 0.0))
    adata.obsm["other"] = simulated.X[:, :3]
    path = tmp_path / "cells.h5ad"
    adata.write_h5ad(path)
    return path
