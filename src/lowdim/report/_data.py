"""What was fitted: shape, zeros, representation, and what is known of its making."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim.report._text import parameter

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim.data.sources import RowSource

_BLOCK_VALUES = 2**23

GAUSSIAN_NOISE = (
    "Values should be on a scale on which Gaussian noise makes sense, such as log-normalised "
    "expression or principal components, but not raw counts."
)

# What the common tools leave in uns when they have changed the data.
_KNOWN_STEPS = {
    "log1p": "logarithm, log(1 + x)",
    "hvg": "highly variable genes",
    "deviance_selection": "genes of largest deviance from a constant rate",
    "pca": "principal components",
    "neighbors": "neighbour graph",
}


@dataclass(frozen=True)
class DataSummary:
    """The matrix that was fitted, and the AnnData around it.

    Attributes
    ----------
    n_rows, n_columns
        Of the matrix.
    n_vars
        Columns (genes) of the AnnData.
    matrix
        Where it is: "X", a layer, or a representation.
    zeros
        Share of entries that are zero.
    low, high
        Smallest and largest entry.
    dtype
        Of the values.
    is_sparse
        Whether it is stored sparse.
    steps
        Name and words of each known step of preprocessing.
    """

    n_rows: int
    n_columns: int
    n_vars: int
    matrix: str
    zeros: float
    low: float
    high: float
    dtype: str
    is_sparse: bool
    steps: list[tuple[str, str]]


def summarize(adata: AnnData, source: RowSource, params: Mapping[str, Any]) -> DataSummary:
    """Summarise the matrix that a fit with these parameters read."""
    zeros, low, high = _ranges(source)
    return DataSummary(
        n_rows=source.n_rows,
        n_columns=source.n_cols,
        n_vars=adata.n_vars,
        matrix=matrix_name(params),
        zeros=zeros,
        low=low,
        high=high,
        dtype=str(source.dtype),
        is_sparse=source.is_sparse,
        steps=preprocessing(adata),
    )


def matrix_name(params: Mapping[str, Any]) -> str:
    """Which matrix of an AnnData was fitted, as in ``obsm["X_pca"]``."""
    if params.get("layer") is not None:
        return f'layers["{params["layer"]}"]'
    if params.get("use_rep") not in (None, "X"):
        return f'obsm["{params["use_rep"]}"]'
    return "X"


def preprocessing(adata: AnnData) -> list[tuple[str, str]]:
    """Steps that the AnnData tells of itself; what `uns["preprocessing"]` says comes first."""
    steps = []
    told = adata.uns.get("preprocessing")
    if isinstance(told, Mapping):
        steps += [(str(name), parameter(value)) for name, value in told.items()]
    elif isinstance(told, str):
        steps.append(("as described", told))
    elif isinstance(told, (Sequence, np.ndarray)):
        steps += [(f"step {i}", str(text)) for i, text in enumerate(told, 1)]
    for name, meaning in _KNOWN_STEPS.items():
        record = adata.uns.get(name)
        if isinstance(record, Mapping):
            params = record.get("params", record)
            small = {k: v for k, v in params.items() if np.ndim(v) == 0 and v is not None}
            steps.append((f'uns["{name}"]', meaning + _settings(small)))
    return steps


def _settings(params: Mapping[str, Any]) -> str:
    return f" ({parameter(params)})" if params else ""


def _ranges(source: RowSource) -> tuple[float, float, float]:
    """Share of zeros, smallest and largest entry, read in blocks."""
    n_nonzero, low, high = 0, np.inf, -np.inf
    step = max(1, _BLOCK_VALUES // source.n_cols)
    for start in range(0, source.n_rows, step):
        block = source.rows(start, min(start + step, source.n_rows))
        values = block if isinstance(block, np.ndarray) else block.data
        n_nonzero += int(np.count_nonzero(values))
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    n_entries = source.n_rows * source.n_cols
    if n_nonzero < n_entries:
        low, high = min(low, 0.0), max(high, 0.0)
    return 1.0 - n_nonzero / n_entries, low, high
