"""Which rows belong to which sample, and how many of them a mixture needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lowdim._validation import check_source
from lowdim.data.sources import RowSource

#: So many samples are named in an error.
NAMED = 5
#: Values that are looked at together.
BLOCK_VALUES = 2**22


@dataclass(frozen=True)
class SampleRows:
    """Rows grouped by sample, in whatever order they come.

    Attributes
    ----------
    names : (S,)
        Of the samples, sorted, as strings.
    codes : (N,)
        Number of every row's sample.
    """

    names: np.ndarray
    codes: np.ndarray

    @classmethod
    def of(cls, samples: Any, n_rows: int, *, name: str = "samples") -> SampleRows:
        """From one name per row, or as they are.

        Raises
        ------
        ValueError
            There is not one name per row, or some are missing.
        """
        if isinstance(samples, cls) and len(samples.codes) == n_rows:
            return samples
        if samples is None:
            raise ValueError(f"{name} is None; pass the name of every row's sample.")
        array = np.asarray(samples, dtype=object)
        if array.shape != (n_rows,):
            raise ValueError(f"{name} has shape {array.shape}, expected ({n_rows},).")
        unknown = pd.isna(array)
        if unknown.any():
            raise ValueError(
                f"{name} is missing in {int(unknown.sum())} row(s), the first {unknown.argmax()}; "
                "drop them, or name their sample."
            )
        names, codes = np.unique(array.astype(str), return_inverse=True)
        return cls(names.astype(object), codes)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def counts(self) -> np.ndarray:
        """Rows of every sample, (S,)."""
        return np.bincount(self.codes, minlength=len(self.names))

    def rows(self, code: int) -> np.ndarray:
        """Indices of a sample's rows."""
        return np.flatnonzero(self.codes == code)

    def select(self, names: Any) -> tuple[SampleRows, np.ndarray]:
        """Some samples, and the numbers of their rows among all."""
        kept = np.isin(self.names, np.asarray(names, dtype=object))
        rows = np.flatnonzero(kept[self.codes])
        return SampleRows(self.names[kept], (np.cumsum(kept) - 1)[self.codes[rows]]), rows

    def check(self, source: RowSource, *, min_rows: int = 1) -> None:
        """`check_source`, with the samples of the rows that cannot be used.

        Raises
        ------
        ValueError
            Rows have NaN or infinity, or are too few.
        """
        try:
            check_source(source, min_rows=min_rows)
        except ValueError as error:
            bad = self.names[np.unique(self.codes[~_finite(source)])]
            if not len(bad):
                raise
            raise ValueError(f"{error} They are of {listed(bad)}.") from None

    def known(self, names: np.ndarray) -> np.ndarray:
        """Every row's number among other names, (N,).

        Raises
        ------
        ValueError
            A sample is not among them.
        """
        position = {name: code for code, name in enumerate(names)}
        strange = [name for name in self.names if name not in position]
        if strange:
            raise ValueError(
                f"samples has {listed(strange)}, not fitted before; the fit has {listed(names)}."
            )
        return np.array([position[name] for name in self.names])[self.codes]

    def labels(self, values: Any, *, name: str = "labels") -> np.ndarray:
        """The label of every sample, (S,) strings, from one per row or a mapping from names.

        Raises
        ------
        ValueError
            A sample has no label, or rows of one sample have different ones.
        """
        by_name = isinstance(values, pd.Series) and len(values) != len(self.codes)
        if by_name or isinstance(values, dict):
            given = {str(own): value for own, value in values.items() if not pd.isna(value)}
            missing = [own for own in self.names if own not in given]
            if missing:
                raise ValueError(f"{name} has no entry for {listed(missing)}.")
            return np.array([str(given[own]) for own in self.names], dtype=object)
        array = np.asarray(values, dtype=object)
        if array.shape != self.codes.shape:
            raise ValueError(f"{name} has shape {array.shape}, expected {self.codes.shape}.")
        if pd.isna(array).any():
            bad = self.names[np.unique(self.codes[pd.isna(array)])]
            raise ValueError(f"{name} is missing in rows of {listed(bad)}.")
        pairs = pd.DataFrame({"code": self.codes, "label": array.astype(str)}).drop_duplicates()
        several = pairs["code"][pairs["code"].duplicated()]
        if len(several):
            own = pairs["label"][pairs["code"] == several.iloc[0]].tolist()
            raise ValueError(
                f"{name} differs within {listed(self.names[np.unique(several)])}: the first has "
                f"{listed(own)}; a sample has one label."
            )
        return pairs.sort_values("code")["label"].to_numpy(dtype=object)


def in_order(values: Any, names: np.ndarray | None, what: str) -> Any:
    """What belongs to samples in the order of these, (S,), if it comes with their names.

    A Series or a dict goes by name. A Series with the index that pandas gives where there is none,
    of which no sample is named, goes by position; so does all else, and all where samples have no
    names.

    Raises
    ------
    ValueError
        A sample has no entry, or several.
    """
    if names is None or not isinstance(values, pd.Series | dict):
        return values
    given = pd.Series(values)
    index = pd.Index([str(own) for own in given.index])
    missing = [own for own in names if own not in index]
    if len(missing) == len(names) and isinstance(given.index, pd.RangeIndex):
        return values
    if missing:
        raise ValueError(
            f"{what} has no entry for {listed(missing)}; index it by the names of the samples, or "
            "pass an array in their order."
        )
    several = [own for own in names if (index == own).sum() > 1]
    if several:
        raise ValueError(f"{what} has several entries for {listed(several)}; pass one for each.")
    return given.set_axis(index).loc[list(names)].to_numpy()


def _finite(source: RowSource) -> np.ndarray:
    """Rows without NaN and infinity, (N,)."""
    step = max(1, BLOCK_VALUES // source.n_cols)
    parts = []
    for start in range(0, source.n_rows, step):
        rows = source.rows(start, min(start + step, source.n_rows))
        parts.append(np.isfinite(np.asarray(rows.sum(1)).ravel()))
    return np.concatenate(parts)


def listed(names: Any) -> str:
    """The first few names, and how many more there are."""
    names = list(names)
    shown = ", ".join(repr(str(own)) for own in names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"


def spanned(numbers: np.ndarray) -> str:
    """The least and the greatest of whole numbers, or the one that all are."""
    low, high = int(numbers.min()), int(numbers.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
