"""What the samples of an AnnData are: one value of a column of `obs` for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lowdim.data.columns import frame
from lowdim.samples._rows import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData


def labels_of_samples(
    adata: AnnData, names: Sequence[str] | np.ndarray, column: str, sample_key: str | None
) -> pd.Series:
    """The value of every sample, (S,), indexed by name; missing where no row has one.

    Without `sample_key`, the samples are in the column that has their names.

    Raises
    ------
    ValueError
        A column is not there, or rows of one sample have different values.
    """
    if sample_key is None:
        sample_key = _column_of(adata, names)
    for name in (sample_key, column):
        if name not in adata.obs:
            raise ValueError(f"{name!r} is not in adata.obs, which has {sorted(adata.obs)}.")
    obs = frame(adata.obs, [sample_key, column])
    samples, values = obs[sample_key].astype(str).to_numpy(), obs[column]
    known = pd.DataFrame({"sample": samples, "value": values.to_numpy()}).dropna()
    pairs = known.drop_duplicates()
    several = pairs["sample"][pairs["sample"].duplicated()]
    several = several[several.isin([str(name) for name in names])]
    if len(several):
        raise ValueError(
            f"obs[{column!r}] differs within {listed(several.unique())}; pick a column with one "
            "value for each sample."
        )
    found = pairs.set_index("sample")["value"].reindex([str(name) for name in names])
    if isinstance(values.dtype, pd.CategoricalDtype):  # keeps the order of the kinds
        found = found.astype(values.dtype)
    return found.rename(column)


def _column_of(adata: AnnData, names: Sequence[str] | np.ndarray) -> str:
    """The only column of `obs` that has all these names."""
    wanted = {str(name) for name in names}
    obs = frame(adata.obs)
    texts, numbers = obs.select_dtypes(exclude="number"), obs.select_dtypes("integer")
    found: list[str] = []
    for table in (texts, numbers):  # numbers may be anything, so they are asked last
        found = found or [str(n) for n in table if wanted <= set(table[n].astype(str).unique())]
    if len(found) != 1:
        raise ValueError(
            f"It is not known which column of obs has the samples ({listed(found)} have their "
            "names); pass sample_key."
            if found
            else f"No column of obs has the names of the samples, {listed(names)}; pass sample_key."
        )
    return found[0]


def given_labels(labels: Any, names: Sequence[str] | np.ndarray) -> pd.Series:
    """Labels as passed, one per sample or by name, (S,), indexed by name.

    Raises
    ------
    ValueError
        There is not one entry per sample.
    """
    index = [str(name) for name in names]
    if isinstance(labels, dict):
        labels = pd.Series(labels)
    if isinstance(labels, pd.Series):
        own = labels.copy()
        own.index = own.index.map(str)
        if own.index.is_unique and own.index.isin(index).any():
            return own.reindex(index)
    if np.ndim(labels) != 1 or len(labels) != len(index):
        raise ValueError(
            f"labels has shape {np.shape(labels)}, but there are {len(index)} samples; pass one "
            "per sample, or a dict by their names, such as "
            f"{listed(index[:1])}."
        )
    title = getattr(labels, "name", None)
    return pd.Series(labels.array if isinstance(labels, pd.Series) else labels, index, name=title)
