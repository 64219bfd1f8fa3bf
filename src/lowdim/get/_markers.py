"""How far each component's mean expression lies from that of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lowdim.data import as_rows

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._typing import Float64Array
    from lowdim.data.sources import RowSource

_BLOCK_BYTES = 2**26
"""Size of the dense blocks in which expression is read."""

_SMALLEST_SD = 1e-6
"""Floor of a gene's standard deviation, relative to the largest: rounding marks nothing."""


def standardized_differences(
    adata: AnnData, probabilities: Float64Array, layer: str | None
) -> Float64Array:
    """Mean of each component minus the mean of all others, over the sd within components.

    Parameters
    ----------
    adata
        The expression: `X`, or the layer.
    probabilities
        (N, K).
    layer
        Key of `layers`, or None.

    Returns
    -------
    (K, n_vars). nan for a component without rows.
    """
    source = as_rows(adata, layer=layer, name="adata")
    sums, squares = _moments(source, probabilities)
    sizes = probabilities.sum(0)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        own = sums / sizes
        others = (sums.sum(0) - sums) / (sizes.sum() - sizes)
    between = np.where(sizes > 0, own * sums, 0.0).sum(0)
    sd = np.sqrt(np.maximum(squares - between, 0.0) / source.n_rows)
    floor = _SMALLEST_SD * sd.max(initial=0.0)
    return (own - others) / np.maximum(sd, floor or 1.0)


def _moments(source: RowSource, probabilities: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Sums (K, n_vars) weighted by the probabilities, and sums of squares (n_vars,)."""
    sums = np.zeros((probabilities.shape[1], source.n_cols))
    squares = np.zeros(source.n_cols)
    step = max(1, _BLOCK_BYTES // (source.n_cols * 8))
    for start in range(0, source.n_rows, step):
        stop = min(start + step, source.n_rows)
        block = source.rows(start, stop).astype(np.float64, copy=False)
        sums += (block.T @ probabilities[start:stop]).T
        squared = block**2 if isinstance(block, np.ndarray) else block.multiply(block)
        squares += np.asarray(squared.sum(axis=0)).ravel()
    return sums, squares
