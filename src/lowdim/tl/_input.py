"""Check what a tool is given before any work is done."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim.data import as_rows

if TYPE_CHECKING:
    from collections.abc import Collection

    from lowdim.data.sources import RowSource

_SAMPLE_ROWS = 200
"""How many rows tell whether values are counts."""

_LARGE_COUNT = 20
"""Whole numbers up to less than this may be ranks, categories or numbers of copies."""

_logger = logging.getLogger("lowdim")


def open_rows(
    adata: Any,
    *,
    layer: str | None,
    use_rep: str | None,
    written: Collection[str] = (),
    copy: bool = False,
) -> RowSource:
    """The rows that a tool fits, once it is sure that its results can be written.

    Parameters
    ----------
    adata
        The AnnData.
    layer, use_rep
        The matrix; neither: `X`.
    written
        The keys of `obsm` that the tool writes.
    copy
        Whether it writes them to a copy.

    Raises
    ------
    TypeError
        `adata` is no AnnData.
    ValueError
        The matrix does not exist or would be overwritten; results cannot be written.
    """
    from anndata import AnnData

    if not isinstance(adata, AnnData):
        raise TypeError(
            f"adata is a {type(adata).__name__}, not an AnnData; pass other data to an estimator "
            "such as lowdim.SubspaceMixture."
        )
    if adata.isbacked and adata.is_view:
        raise ValueError(
            "adata is a selection from a backed AnnData, which cannot take results; load it with "
            "adata.to_memory() first."
        )
    if adata.isbacked and copy:
        raise ValueError(
            "copy=True would duplicate the file of a backed AnnData; leave it out (results go to "
            "memory, not to the file), or pass adata.to_memory()."
        )
    if use_rep in written:
        raise ValueError(
            f"key_added would overwrite adata.obsm[{use_rep!r}], the representation that is "
            "fitted; pass another key_added."
        )
    return as_rows(adata, layer=layer, use_rep=use_rep, name="adata")


def warn_of_counts(
    source: RowSource,
    *,
    layer: str | None,
    use_rep: str | None,
    why: str = "the model has Gaussian noise",
) -> None:
    """Log a warning if a model that is not for raw counts is about to be fitted to some.

    `why` tells what speaks against it.
    """
    if use_rep not in (None, "X"):
        return
    index = np.unique(np.linspace(0, source.n_rows - 1, _SAMPLE_ROWS).astype(np.intp))
    rows = source.take(index)
    values = rows.reshape(-1) if isinstance(rows, np.ndarray) else rows.data
    if not values.size or not np.isfinite(values).all():
        return
    if values.min() >= 0 and values.max() >= _LARGE_COUNT and (values == np.rint(values)).all():
        _logger.warning(
            "adata.%s looks like raw counts (whole numbers up to %g or more), but %s. "
            "Normalise and take logarithms first (with scanpy: "
            "sc.pp.normalize_total, sc.pp.log1p), or name a matrix that has been, with layer=, or "
            "where the tool takes one with use_rep='X_pca'.",
            "X" if layer is None else f"layers[{layer!r}]",
            values.max(),
            why,
        )
