"""A small AnnData with planted subspaces and a PCA of them."""

import anndata as ad
import numpy as np
import pytest

from lowdim.data import subspaces as simulate


@pytest.fixture
def planted() -> ad.AnnData:
    """330 rows on a plane, a line and a point in six columns, called g0 to g5."""
    simulated = simulate([150, 100, 80], dims=[2, 1, 0], n_columns=6, random_state=0)
    X = simulated.X + 3.0
    adata = ad.AnnData(X)
    adata.var_names = [f"g{i}" for i in range(6)]
    adata.obs["truth"] = simulated.labels.astype(str)
    adata.layers["shifted"] = X + 5
    centred = X - X.mean(0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:4].T
    adata.obsm["X_pca"] = centred @ axes
    adata.varm["PCs"] = axes
    adata.obsm["other"] = np.tanh(X[:, :3] / 10)
    return adata
