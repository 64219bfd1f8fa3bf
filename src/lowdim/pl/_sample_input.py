"""What the pictures of samples read: distances, labels, and colours for these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim import get
from lowdim.get._gmm_key import find_gmm_key
from lowdim.get._sample_labels import given_labels, labels_of_samples
from lowdim.pl._colors import Coloring, array_coloring, plain_coloring
from lowdim.pl._fitted import is_anndata
from lowdim.samples._matrices import read_distances
from lowdim.samples._schema import model_of

if TYPE_CHECKING:
    import pandas as pd

    from lowdim._typing import Float64Array


def read_samples(source: Any, key: str) -> tuple[Float64Array, np.ndarray]:
    """Distances (S, S) and names (S,), of a matrix or of what an AnnData has in ``uns[key]``."""
    if not is_anndata(source):
        return read_distances(source)
    return read_distances(get.sample_distances(source, key))


def read_labels(
    source: Any, labels: Any, names: np.ndarray, *, key: str, sample_key: str | None = None
) -> pd.Series:
    """One label per sample, (S,): of a column of `obs`, or as given."""
    if not isinstance(labels, str):
        return given_labels(labels, names)
    if not is_anndata(source):
        raise ValueError(
            f"labels={labels!r} names a column of adata.obs, but there is no AnnData; pass an "
            "array with one entry per sample, or a dict."
        )
    params = source.uns.get(key, {}).get("params", {})
    return labels_of_samples(source, names, labels, sample_key or params.get("sample_key"))


def read_mixtures(source: Any, gmm_key: str | None = None) -> Any:
    """The fitted mixtures of samples: as such, of a `SampleDataset`, or in an AnnData.

    Raises
    ------
    KeyError
        There are none, or `gmm_key` is needed to tell which.
    TypeError
        It is none of these.
    """
    if is_anndata(source):
        key = find_gmm_key(source, gmm_key)
        return model_of(source.uns[key], key)
    model = getattr(source, "gmm", source)
    if model is None or not hasattr(model, "fit") or not hasattr(model, "selection_"):
        raise TypeError(
            "Expected fitted SampleGaussianMixtures, a SampleDataset with them, or an AnnData "
            f"after lowdim.tl.fit_gmm; got {type(source).__name__}"
            + (" without mixtures." if model is None else ".")
        )
    return model


def sound_fits(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `SampleGaussianMixtures.selection_` that could be chosen.

    Those with a component that shrank onto few rows could not, unless all of their sample have one.
    """
    if "degenerate" not in table:
        return table
    degenerate = table["degenerate"].astype(bool)
    return table[~degenerate | degenerate.groupby(table["sample"]).transform("all")]


def color_samples(labels: pd.Series | None, n: int, cmap: Any, palette: Any) -> Coloring:
    """The colour of every sample by its label, or grey without any."""
    if labels is None:
        return plain_coloring(n)
    return array_coloring(labels.reset_index(drop=True), n, cmap, palette)
