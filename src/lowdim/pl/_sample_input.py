"""What the pictures of samples read: distances, labels, and colours for these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim.get._sample_labels import given_labels, labels_of_samples
from lowdim.pl._colors import Coloring, array_coloring, plain_coloring
from lowdim.pl._fitted import is_anndata
from lowdim.samples._matrices import read_distances

if TYPE_CHECKING:
    import pandas as pd

    from lowdim._typing import Float64Array


def read_samples(source: Any, key: str) -> tuple[Float64Array, np.ndarray]:
    """Distances (S, S) and names (S,), of a matrix or of what an AnnData has in ``uns[key]``."""
    if not is_anndata(source):
        return read_distances(source)
    record = source.uns.get(key, {})
    if "distances" not in record:
        raise ValueError(
            f"adata.uns has no distances in {key!r}; run ld.tl.sample_distances(adata, "
            f"key_added={key!r}) first."
        )
    return read_distances(record["distances"])


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


def color_samples(labels: pd.Series | None, n: int, cmap: Any, palette: Any) -> Coloring:
    """The colour of every sample by its label, or grey without any."""
    if labels is None:
        return plain_coloring(n)
    return array_coloring(labels.reset_index(drop=True), n, cmap, palette)
