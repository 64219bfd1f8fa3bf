"""What all functions here check, and where their results go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._validation import check_source
from lowdim.data import as_rows
from lowdim.data.columns import column

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._typing import IntArray
    from lowdim.data.sources import RowSource


def open_counts(adata: Any, layer: str | None) -> RowSource:
    """The counts of an AnnData: nonnegative whole numbers."""
    source = as_rows(_checked(adata), layer=layer, name="adata")
    check_source(source, nonnegative=True, integer=True, name=_matrix_name(layer))
    return source


def samples_of(adata: Any, sample_key: str | None) -> IntArray:
    """Which sample every row is of, (N,), numbered from zero; all of one without a key.

    Raises
    ------
    ValueError
        There is no such column, or a row has no sample.
    """
    if sample_key is None:
        return np.zeros(_checked(adata).n_obs, dtype=np.intp)
    if sample_key not in _checked(adata).obs:
        raise ValueError(
            f"sample_key={sample_key!r} is not in adata.obs, which has {sorted(adata.obs)}."
        )
    import pandas as pd

    codes, _ = pd.factorize(column(adata.obs, sample_key))
    if (codes < 0).any():
        row = int((codes < 0).argmax())
        raise ValueError(f"adata.obs[{sample_key!r}] is missing in row {row}; fill it or drop it.")
    return codes


def target_of(adata: Any, *, copy: bool) -> AnnData:
    """What results are written to: the AnnData, or a copy of it."""
    return _checked(adata).copy() if copy else _checked(adata)


def _checked(adata: Any) -> AnnData:
    from anndata import AnnData

    if not isinstance(adata, AnnData):
        raise TypeError(f"adata is a {type(adata).__name__}; pass an AnnData.")
    if not adata.n_obs:
        raise ValueError("adata has no rows; pass one with at least one cell or spot.")
    return adata


def _matrix_name(layer: str | None) -> str:
    return "adata.X" if layer is None else f"adata.layers[{layer!r}]"
