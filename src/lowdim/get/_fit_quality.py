"""How well factors describe what was observed: deviance of genes and rows, and calibration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim.data import as_rows
from lowdim.get._fitted_factors import read_factors
from lowdim.get._record import find_factors
from lowdim.metrics.deviance import negative_binomial_entries, poisson_entries

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
        deviation around the expected value, as found and as the model has it. Empty for values
        that are no counts.
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
    """Read the matrix that was fitted once more, in blocks, and compare it with the fit.

    Values that are not known (NaN) are left out.
    """
    fit = read_factors(adata, key)
    source = as_rows(adata, layer=find_factors(adata, key)["params"].get("layer"))
    means, null = _column_means(source, fit)
    genes, nulls, n_genes = (np.zeros(source.n_cols) for _ in range(3))
    rows = np.empty(source.n_rows)
    bins = np.zeros((5, len(_EDGES) + 1))
    for part, y in _blocks(source):
        expected, known = fit.expected(part), ~np.isnan(y)
        deviances = np.where(known, _deviance(fit, y, expected), 0.0)
        rows[part] = deviances.sum(1) / np.maximum(known.sum(1), 1)
        genes += deviances.sum(0)
        n_genes += known.sum(0)
        around = np.broadcast_to(fit.size_factors[part, None] * null, y.shape)
        nulls += np.where(known, _deviance(fit, y, around), 0.0).sum(0)
        if fit.likelihood != "gaussian":
            _add_to_bins(bins, fit, y, expected)
    n, *sums = bins[:, bins[0] >= _LEAST]
    binned = [total / n for total in sums]
    return FitQuality(
        gene_means=means,
        gene_deviances=genes / np.maximum(n_genes, 1),
        row_deviances=rows,
        explained=float(1 - genes.sum() / (nulls.sum() or 1.0)),
        expected=binned[0],
        observed=binned[1],
        sd=np.sqrt(binned[2]),
        model_sd=np.sqrt(binned[3]),
    )


def _add_to_bins(
    bins: Float64Array, fit: FittedSpatialFactors, y: Float64Array, expected: Float64Array
) -> None:
    """Numbers, expected and observed counts, squared errors and variances by the expected count."""
    spread = 0.0 if fit.dispersions is None else fit.dispersions * expected**2
    known = ~np.isnan(y)
    which = np.searchsorted(_EDGES, expected[known])
    ones = np.ones_like(y)
    for i, values in enumerate((ones, expected, y, (y - expected) ** 2, expected + spread)):
        bins[i] += np.bincount(which, values[known], len(_EDGES) + 1)


def _deviance(fit: FittedSpatialFactors, y: Float64Array, expected: Float64Array) -> Float64Array:
    """Twice what the log-likelihood of each entry lies below the largest possible."""
    if fit.likelihood == "gaussian":
        scale = 1.0 if fit.noise_variances is None else fit.noise_variances
        return (y - expected) ** 2 / scale
    expected = np.maximum(expected, 1e-12)
    if fit.dispersions is None:
        return poisson_entries(y, expected)
    return negative_binomial_entries(y, expected, fit.dispersions)


def _blocks(source: RowSource) -> Iterator[tuple[slice, Float64Array]]:
    """Numbers of rows and their values, dense."""
    step = max(1, _BLOCK_VALUES // source.n_cols)
    for start in range(0, source.n_rows, step):
        part = slice(start, min(start + step, source.n_rows))
        rows = source.rows(part.start, part.stop)
        dense = rows if isinstance(rows, np.ndarray) else rows.toarray()
        yield part, dense.astype(np.float64, copy=False)


def _column_means(
    source: RowSource, fit: FittedSpatialFactors
) -> tuple[Float64Array, Float64Array]:
    """Mean of every column, and per unit of the size factors."""
    total, n, sizes = (np.zeros(source.n_cols) for _ in range(3))
    for part, values in _blocks(source):
        known = ~np.isnan(values)
        total += np.where(known, values, 0.0).sum(0)
        n += known.sum(0)
        sizes += fit.size_factors[part] @ known
    return total / np.maximum(n, 1), total / np.where(sizes > 0, sizes, 1.0)
