"""Checks of the values in a row source, read once and in blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from lowdim._validation.matrices import check_shape

if TYPE_CHECKING:
    from lowdim._typing import Rows

_SCAN_BYTES = 2**25
"""Size of the dense blocks in which `check_source` reads, in bytes."""


class _RowBlocks(Protocol):
    """The part of a row source that the checks need (data sources are a layer above)."""

    n_rows: int
    n_cols: int
    dtype: np.dtype
    is_sparse: bool

    def rows(self, start: int, stop: int) -> Rows: ...


@runtime_checkable
class _RowParts(Protocol):
    """Rows in parts that are gone through where they are, from the rows `edges` on."""

    edges: np.ndarray

    def each(self, function: Callable[..., Any]) -> list[Any]: ...


@dataclass
class _Finding:
    """How many values broke a rule, and which was the first."""

    count: int = 0
    first_row: int = -1
    first_value: float = math.nan

    def add(self, bad: np.ndarray, block: Rows, start: int) -> None:
        """Count the stored values of a block that are marked in `bad`; row 0 of it is `start`."""
        count = int(np.count_nonzero(bad))
        if count and not self.count:
            position = int(bad.argmax())
            self.first_row = start + _row_of_stored(block, position)
            self.first_value = float(_stored(block)[position])
        self.count += count

    def join(self, other: _Finding, start: int) -> None:
        """Count what was found further on, in rows from `start` on."""
        if other.count and not self.count:
            self.first_row, self.first_value = start + other.first_row, other.first_value
        self.count += other.count

    def __str__(self) -> str:
        values = "value" if self.count == 1 else "values"
        return f"{self.count} such {values}, first {self.first_value:.6g} in row {self.first_row}"


def check_source(
    source: _RowBlocks,
    *,
    min_rows: int = 1,
    name: str = "X",
    nonnegative: bool = False,
    integer: bool = False,
    allow_nan: bool = False,
) -> None:
    """Read a row source once, in blocks, and raise if a model could not work with its values.

    Parameters
    ----------
    source
        What `lowdim.data.as_rows` returned.
    min_rows
        The fewest rows allowed.
    name
        What errors call it.
    nonnegative
        Refuse negative values.
    integer
        Refuse values that are not whole numbers. With `nonnegative`, the data are counts.

    allow_nan
        NaN says that a value is not known.

    Raises
    ------
    TypeError
        `source` is not a row source.
    ValueError
        Too few rows, no columns, NaN, infinity, or negative or fractional values where they are
        refused. The message counts all of them and names the first row that has one.
    """
    if not callable(getattr(source, "rows", None)):
        raise TypeError(
            f"{name} is a {type(source).__name__}, not a row source; pass it through "
            "lowdim.data.as_rows first."
        )
    check_shape((source.n_rows, source.n_cols), name=name, min_rows=min_rows)
    missing, infinite, negative, fractional = _findings(source, nonnegative, integer)
    if missing.count and not allow_nan:
        raise ValueError(f"Input {name} contains NaN.\n{missing}. Drop those rows or impute them.")
    if infinite.count:
        raise ValueError(
            f"Input {name} contains infinity or a value too large for {source.dtype!r}.\n"
            f"{infinite}. Drop those rows or replace the values."
        )
    _raise_on_range(name, negative, fractional, counts=nonnegative and integer)


def _findings(source: _RowBlocks, nonnegative: bool, integer: bool) -> list[_Finding]:
    """What is missing, infinite, negative and fractional, the last two if that is asked for."""
    if not isinstance(source, _RowParts):
        return _scan(nonnegative, integer, source)
    total = [_Finding() for _ in range(4)]
    parts = source.each(partial(_scan, nonnegative, integer))
    for start, found in zip(source.edges.tolist(), parts, strict=False):
        for finding, own in zip(total, found, strict=True):
            finding.join(own, start)
    return total


def _scan(nonnegative: bool, integer: bool, source: _RowBlocks) -> list[_Finding]:
    """The same of a source that is read here."""
    missing, infinite, negative, fractional = (_Finding() for _ in range(4))
    for start, block in _blocks(source):
        values = _stored(block)
        # A finite sum proves that all terms are finite, at a fraction of the cost.
        with np.errstate(over="ignore", invalid="ignore"):
            suspicious = not np.isfinite(values.sum())
        if suspicious:
            missing.add(np.isnan(values), block, start)
            infinite.add(np.isinf(values), block, start)
        if nonnegative:
            negative.add(values < 0, block, start)
        if integer:
            fractional.add((values != np.rint(values)) & ~np.isnan(values), block, start)
    return [missing, infinite, negative, fractional]


def _raise_on_range(name: str, negative: _Finding, fractional: _Finding, *, counts: bool) -> None:
    """Raise ValueError if negative or fractional values were found where they are refused."""
    wanted = "counts (nonnegative integers)" if counts else "nonnegative values"
    remedy = (
        "it looks normalised; pass the raw counts (of an AnnData, for example layer='counts')"
        if counts
        else "it looks centred or scaled; pass the values before that step"
    )
    if negative.count:
        raise ValueError(
            f"Negative values in data: {name} must hold {wanted}, but has {negative}; {remedy}."
        )
    if fractional.count:
        wanted = wanted if counts else "integers"
        raise ValueError(
            f"{name} must hold {wanted}, but some of its values are not whole numbers: "
            f"{fractional}; it looks normalised; pass the raw counts (of an AnnData, for example "
            "layer='counts')."
        )


def _blocks(source: _RowBlocks) -> Iterator[tuple[int, Rows]]:
    """Yield (first row, block) over all rows, in blocks of bounded dense size."""
    step = max(1, _SCAN_BYTES // (source.n_cols * source.dtype.itemsize))
    for start in range(0, source.n_rows, step):
        yield start, source.rows(start, min(start + step, source.n_rows))


def _stored(block: Rows) -> np.ndarray:
    """The values that a block stores, flat: all of an array, the nonzeros of CSR."""
    return block.reshape(-1) if isinstance(block, np.ndarray) else block.data


def _row_of_stored(block: Rows, position: int) -> int:
    """The row, within the block, of a stored value."""
    if isinstance(block, np.ndarray):
        return position // block.shape[1]
    return int(np.searchsorted(block.indptr, position, side="right")) - 1
