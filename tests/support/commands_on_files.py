"""A small file with everything in it, and commands that fit something to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import scipy.sparse as sp

N, D = 240, 70


def small_file(path: Path) -> Path:
    """A file with everything that an AnnData can hold."""
    rng = np.random.default_rng(0)
    rates = rng.gamma(0.4, 2.0, (3, D))[np.arange(N) % 3]
    adata = ad.AnnData(sp.csr_matrix(np.log1p(rng.poisson(rates)), dtype=np.float32))
    adata.layers["counts"] = sp.csr_matrix(rng.poisson(rates), dtype=np.float32)
    adata.layers["dense"] = rng.normal(size=(N, D))
    adata.obs["group"] = np.array(["a", "b", "c"])[np.arange(N) % 3]
    adata.obs["sample"] = np.array(list("pqrstu"))[rng.integers(6, size=N)]
    adata.obsm["X_pca"] = rng.normal(size=(N, 3))
    adata.obsm["spatial"] = rng.uniform(size=(N, 2))
    near = sp.random_array((N, N), density=0.1, rng=rng, format="csr")
    adata.obsp["graph"] = near + near.T
    adata.varp["pairs"] = np.arange(D) + np.arange(D)[:, None]
    adata.uns["note"] = {"by": "hand"}
    adata.raw = adata
    adata.write_h5ad(path)
    return path


LABELS = ["--labels", "group"]
FEW_STEPS = ["--set", "max_iter=40", *LABELS]
COMMANDS = {
    "subspaces": ["subspaces", "--dims", "1,1,0", "--n-init", "2", *LABELS],
    "layer": ["subspaces", "--dims", "1,1,0", "--n-init", "2", "--layer", "dense", *LABELS],
    "representation": ["subspaces", "--dims", "1,0", "--n-init", "2", "--use-rep", "X_pca"],
    "kmeans": ["mixture", "--family", "kmeans", "-k", "3", *LABELS],
    "counts": ["mixture", "--family", "negative-binomial", "--layer", "counts", "-k", "3"],
    "components": ["embed", "--method", "pca", *LABELS],
    "landmarks": ["embed", "--landmarks", "0.5", "--color", "3", *FEW_STEPS],
    "graph": ["embed", "--neighbors", "graph", *FEW_STEPS],
    "layout of a representation": ["embed", "--use-rep", "X_pca", *FEW_STEPS],
    "factors": ["spatial", "--model", "pnmf", "-n", "2", "--size-factors", "median_ratio"],
    "spatial factors": ["spatial", "-n", "2", "--inducing", "30", *LABELS],
    "chosen genes": ["spatial", "--model", "pnmf", "-n", "2", "--top-genes", "20"],
    "chosen columns": ["spatial", "--model", "pnmf", "-n", "2", "--top-genes", "20",
                       "--layer", "counts"],
    "samples": ["samples", "--sample-key", "sample", "--layer", "dense", "-k", "2",
                "--covariance-type", "diag"],
    "samples of a representation": ["samples", "--sample-key", "sample", "--use-rep", "X_pca"],
}  # fmt: skip


def plain(value: Any) -> np.ndarray:
    """Something stored, in a form that can be compared."""
    array = np.asarray(value.toarray() if sp.issparse(value) else value)
    return array if array.dtype.kind in "biuf" else array.astype(str)


def assert_same(found: ad.AnnData, expected: ad.AnnData) -> None:
    """Results of a command are those of another, but for rounding; what was there is untouched."""
    assert found.shape == expected.shape
    assert found.uns.keys() == expected.uns.keys()
    assert found.uns["note"] == {"by": "hand"}
    for kind in ("obs", "var", "obsm", "varm", "layers", "obsp", "varp"):
        own, other = getattr(found, kind), getattr(expected, kind)
        assert sorted(own) == sorted(other)
        for key in own:
            first, second = plain(own[key]), plain(other[key])
            if first.dtype.kind == "U":
                assert first.tolist() == second.tolist()
            else:
                np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-4)
    for own, other in ((found.X, expected.X), (found.raw.X, expected.raw.X)):
        np.testing.assert_array_equal(own.toarray(), other.toarray())
        assert own.dtype == other.dtype
    assert found.raw.var_names.tolist() == expected.raw.var_names.tolist()


def assert_chosen(own: ad.AnnData, expected: ad.AnnData) -> None:
    """Chosen genes are there with all that belongs to them."""
    assert own.var_names.tolist() == expected.var_names.tolist()
    for name in ("counts", "dense"):
        assert own.layers[name].dtype == expected.layers[name].dtype
        np.testing.assert_array_equal(plain(own.layers[name]), plain(expected.layers[name]))
    np.testing.assert_array_equal(own.X.toarray(), expected.X.toarray())
    np.testing.assert_array_equal(own.varp["pairs"], expected.varp["pairs"])
