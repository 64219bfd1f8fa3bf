"""Real data for a first try, from packages that ship it: nothing is downloaded."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from anndata import AnnData
    from scipy.sparse import csr_matrix

_TARGET_SUM = 1e4
"""The total to which the stored values were normalised before log(1 + x)."""

_MAX_ROUNDING = 0.1
"""How far a recovered count may be from a whole number."""


def pbmc68k() -> AnnData:
    """Load 700 blood cells with their counts: scanpy's `pbmc68k_reduced`.

    The set is a sample of the 68,000 peripheral blood mononuclear cells of Zheng et al. (2017).
    It comes with normalised values only, from which the UMI counts are recovered exactly.

    Returns
    -------
    700 cells x 765 genes:
    `X`, log(1 + x) of counts normalised to 10,000 per cell, CSR float32;
    `layers["counts"]`, UMI counts, CSR float32;
    `obs["bulk_labels"]`, 10 cell types found by comparison with sorted cells;
    `obs["n_counts"]`, UMIs of the cell over all genes, of which these are a part;
    `obsm["X_pca"]`, 50 principal components of the scaled genes, with `varm["PCs"]`;
    `obsm["X_umap"]`, for plots.

    Raises
    ------
    ImportError
        scanpy is not installed.
    RuntimeError
        This version of scanpy ships values from which counts cannot be recovered.
    """
    try:
        import scanpy
    except ImportError as error:
        raise ImportError(
            "The demo data come with scanpy, which is not installed; pip install 'lowdim[demo]'."
        ) from error
    from anndata import AnnData

    # The file is older than anndata's current format, which is no concern of the user.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shipped = scanpy.datasets.pbmc68k_reduced()
    log_values = _raw_log_values(shipped)
    counts = _recover_counts(log_values, shipped.obs["n_counts"].to_numpy(dtype=np.float64))
    return AnnData(
        X=log_values,
        obs=shipped.obs[["bulk_labels", "n_counts"]].copy(),
        var=shipped.var[["n_counts"]].copy(),
        obsm={key: np.asarray(shipped.obsm[key]) for key in ("X_pca", "X_umap")},
        varm={"PCs": np.asarray(shipped.varm["PCs"])},
        layers={"counts": counts},
    )


def _raw_log_values(shipped: Any) -> csr_matrix:
    """The log-normalised values of the genes that the set keeps, in its order."""
    from scipy.sparse import csr_matrix

    values = csr_matrix(shipped.raw[:, shipped.var_names].X, dtype=np.float32)
    values.sum_duplicates()
    return values


def _recover_counts(log_values: csr_matrix, totals: np.ndarray) -> csr_matrix:
    """Undo log(1 + x) and the normalisation; the counts must come out whole to within 0.1."""
    counts = log_values.astype(np.float64).expm1()
    cell_of_value = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    counts.data *= totals[cell_of_value] / _TARGET_SUM
    whole = np.rint(counts.data)
    worst = float(np.abs(counts.data - whole).max(initial=0.0))
    if worst > _MAX_ROUNDING or whole.min(initial=0.0) < 0:
        raise RuntimeError(
            f"The counts of pbmc68k_reduced cannot be recovered: off by {worst:.3g} from whole "
            "numbers. Install another version of scanpy (1.10 and 1.11 work)."
        )
    counts.data = whole
    counts.eliminate_zeros()
    return counts.astype(np.float32)
