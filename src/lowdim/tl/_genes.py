"""Lead axes and centres of components back to the genes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lowdim._keys import PCA_LOADINGS
from lowdim.data import as_rows

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._typing import Float64Array
    from lowdim.data.sources import RowSource

_SAMPLE_ROWS = 256
"""How many rows tell whether a PCA is one of the expression at hand."""

_TOLERANCE = 0.01
"""Relative error up to which its scores count as explained: solvers are that inexact."""

_BLOCK_BYTES = 2**26
"""Size of the dense blocks in which expression is averaged."""


@dataclass(frozen=True)
class GeneSpace:
    """Linear map from the columns of a fit to the genes: ``offset + axes (z - origin)``.

    Attributes
    ----------
    axes
        (n_vars, D), or None where the columns are the genes themselves.
    origin
        The point that maps to the offset, (D,).
    offset
        The mean expression, (n_vars,), or zeros where it is not known.
    means_are
        "expression", or "centred" (difference from the mean of all rows).
    """

    axes: Float64Array | None
    origin: Float64Array
    offset: Float64Array
    means_are: Literal["expression", "centred"]

    def loadings(self, bases: Float64Array) -> Float64Array:
        """Axes (sum d, D) as columns over the genes, (n_vars, sum d)."""
        return bases.T.copy() if self.axes is None else self.axes @ bases.T

    def means(self, means: Float64Array) -> Float64Array:
        """Centres (K, D) as columns over the genes, (n_vars, K)."""
        if self.axes is None:
            return means.T.copy()
        return self.offset[:, None] + self.axes @ (means - self.origin).T


def gene_space(
    adata: AnnData, source: RowSource, *, layer: str | None, use_rep: str | None
) -> GeneSpace | None:
    """How to lead a fit of `source` back to the genes of `adata`; None where there is no way.

    A PCA has axes over the genes, and its scores are centred. The mean that was taken off is the
    mean expression, if the scores are really those of the expression in `adata`: many pipelines
    scale the genes before the PCA and keep the unscaled values, whose means are then of another
    unit and are not added.
    """
    if use_rep in (None, "X"):
        nothing = np.zeros(source.n_cols)
        return GeneSpace(None, nothing, nothing, "expression")
    axes = _pca_axes(adata, str(use_rep), source.n_cols)
    if axes is None or source.is_sparse:
        return None
    origin = _column_means(source)
    expression = _expression(adata, str(use_rep))
    if expression is not None and _explains(expression, axes, source):
        return GeneSpace(axes, origin, _column_means(expression), "expression")
    return GeneSpace(axes, origin, np.zeros(len(axes)), "centred")


def _pca_axes(adata: AnnData, use_rep: str, n_columns: int) -> Float64Array | None:
    """The axes (n_vars, D) of a PCA in `obsm`; zero for genes that it left out."""
    name = PCA_LOADINGS.get(use_rep)
    record = adata.uns.get(use_rep)
    # scanpy's PCA uses its own key_added in all three places.
    if name is None and isinstance(record, Mapping) and "variance_ratio" in record:
        name = use_rep
    if name is None or name not in adata.varm:
        return None
    axes = np.asarray(adata.varm[name], dtype=np.float64)
    if axes.ndim != 2 or axes.shape[1] < n_columns:
        return None
    return np.nan_to_num(axes[:, :n_columns], nan=0.0)  # older files mark genes left out by nan


def _expression(adata: AnnData, use_rep: str) -> RowSource | None:
    """The matrix that a PCA was of, as far as `adata` tells."""
    record: Any = adata.uns.get("pca" if use_rep == "X_pca" else use_rep, {})
    params = record.get("params", {}) if isinstance(record, Mapping) else {}
    layer = params.get("layer") if isinstance(params, Mapping) else None
    try:
        return as_rows(adata, layer=layer, name="adata")
    except (TypeError, ValueError):  # no X, or one that cannot be read by rows
        return None


def _explains(expression: RowSource, axes: Float64Array, scores: RowSource) -> bool:
    """Whether expression times axes gives the scores, up to a shift."""
    index = np.unique(np.linspace(0, scores.n_rows - 1, _SAMPLE_ROWS).astype(np.intp))
    expected = expression.take(index) @ axes
    given = np.asarray(scores.take(index), dtype=np.float64)
    expected, given = expected - expected.mean(0), given - given.mean(0)
    return bool(np.linalg.norm(expected - given) <= _TOLERANCE * np.linalg.norm(given))


def _column_means(source: RowSource) -> Float64Array:
    """The mean of each column, (D,), read in blocks."""
    total = np.zeros(source.n_cols)
    step = max(1, _BLOCK_BYTES // (source.n_cols * 8))
    for start in range(0, source.n_rows, step):
        block = source.rows(start, min(start + step, source.n_rows))
        total += np.asarray(block.sum(axis=0, dtype=np.float64)).ravel()
    return total / source.n_rows
