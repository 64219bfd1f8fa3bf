"""How well factors describe what was observed: deviance of genes and rows, and calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import kl_div, rel_entr

from lowdim.data import as_rows
from lowdim.get._fitted_factors import read_factors
from lowdim.get._record import find_factors

if TYPE_CHECKING:
    from lowdim._typing import Float64Array
    from lowdim.data.sources import RowSource
    from lowdim.get._fitted_factors import FittedSpatialFactors

_BLOCK_VALUES = 2**22
_EDGES = 10.0 ** np.arange(-1.6, 6.01, 0.2)
"""Of the bins of expected values; all below the first are one bin."""

_LEAST = 50
"""Entries of a bin that is told of."""


@dataclass(frozen=True, eq=False)
class FitQuality:
    """Deviances per entry, and observed against expected values.

    Attributes
    ----------
    gene_means, gene_deviances : (J,)
        Mean observed value, and mean deviance of its entries.
    row_deviances : (N,)
    explained : float
        One less the deviance over that of a constant rate for each gene.
    expected, observed, sd, model_sd
        In bins of the expected value: its mean, the mean of what was observed, and the standard
        deviation around the expected value, as found and as the model has it. Empty for
        real-valued factors.
    """

    gene_means: Float64Array
    gene_deviances: Float64Array
    row_deviances: Float64Array
    explained: float
    expected: Float64Array
    observed: Float64Array
    sd: Float64Array
    model_sd: Float64Array


def fit_quality(adata: Any, key: str = "spatial_factors") -> FitQuality:
    """Read the matrix that was fitted once more, in blocks, and compare it with the fit."""
    fit = read_factors(adata, key)
    source = as_rows(adata, layer=find_factors(adata, key)["params"].get("layer"))
    null = _column_sums(source) / fit.size_factors.sum()
    genes, nulls, rows = np.zeros(source.n_cols), np.zeros(source.n_cols), np.empty(source.n_rows)
    bins = np.zeros((5, len(_EDGES) + 1))
    for part, y in _blocks(source):
        sizes = fit.size_factors[part, None]
        expected = _expected(fit, part, sizes)
        deviances = _deviance(fit, y, expected)
        rows[part] = deviances.mean(1)
        genes += deviances.sum(0)
        nulls += _deviance(fit, y, sizes * null).sum(0)
        if fit.nonnegative:
            spread = 0.0 if fit.dispersions is None else fit.dispersions * expected**2
            which = np.searchsorted(_EDGES, expected).ravel()
            for i, values in enumerate((1.0, expected, y, (y - expected) ** 2, expected + spread)):
                weights = np.broadcast_to(values, y.shape).ravel()
                bins[i] += np.bincount(which, weights, len(_EDGES) + 1)
    n, *sums = bins[:, bins[0] >= _LEAST]
    means = [total / n for total in sums]
    return FitQuality(
        gene_means=null * fit.size_factors.mean(),
        gene_deviances=genes / source.n_rows,
        row_deviances=rows,
        explained=float(1 - genes.sum() / (nulls.sum() or 1.0)),
        expected=means[0],
        observed=means[1],
        sd=np.sqrt(means[2]),
        model_sd=np.sqrt(means[3]),
    )


def _expected(fit: FittedSpatialFactors, part: slice, sizes: Float64Array) -> Float64Array:
    linear = fit.factors[part] @ fit.loadings.T
    return sizes * linear if fit.nonnegative else linear


def _deviance(fit: FittedSpatialFactors, y: Float64Array, expected: Float64Array) -> Float64Array:
    """Twice what the log-likelihood of each entry lies below the largest possible."""
    if fit.likelihood == "gaussian" or not fit.nonnegative:
        return (y - expected) ** 2
    expected = np.maximum(expected, 1e-12)
    if fit.dispersions is None:
        return 2 * kl_div(y, expected)
    shapes = 1 / fit.dispersions
    return 2 * (rel_entr(y, expected) - rel_entr(y + shapes, expected + shapes))


def _blocks(source: RowSource) -> Any:
    """Numbers of rows and their values, dense."""
    step = max(1, _BLOCK_VALUES // source.n_cols)
    for start in range(0, source.n_rows, step):
        part = slice(start, min(start + step, source.n_rows))
        rows = source.rows(part.start, part.stop)
        dense = rows if isinstance(rows, np.ndarray) else rows.toarray()
        yield part, dense.astype(np.float64, copy=False)


def _column_sums(source: RowSource) -> Float64Array:
    total = np.zeros(source.n_cols)
    for _, values in _blocks(source):
        total += values.sum(0)
    return total
