"""Distances between samples as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lowdim._keys import SampleDistanceKeys

if TYPE_CHECKING:
    from anndata import AnnData


def has_distances(adata: AnnData, key: str) -> bool:
    """Whether ``uns[key]`` holds distances between samples."""
    record = getattr(adata, "uns", {}).get(key)
    return isinstance(record, Mapping) and "distances" in record and "names" in record


def sample_distances(adata: AnnData, key: str = "sample_distances") -> pd.DataFrame:
    """Distances between samples, (S, S), with their names on both sides.

    Parameters
    ----------
    adata
        Data with the result of `lowdim.tl.sample_distances`.
    key
        Its `key_added`.

    Raises
    ------
    ValueError
        There is no such result.
    """
    if not has_distances(adata, SampleDistanceKeys(key).record):
        raise ValueError(
            f"adata.uns has no {key!r} with distances; run ld.tl.sample_distances(adata, "
            f"key_added={key!r}) first."
        )
    record = adata.uns[key]
    names = pd.Index(np.asarray(record["names"]).astype(str), dtype=object, name="sample")
    return pd.DataFrame(np.asarray(record["distances"]), index=names, columns=names)
