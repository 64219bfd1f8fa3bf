"""Where the rows of an AnnData are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim.data.columns import column
from lowdim.factorization._places import check_coordinates

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._typing import Float64Array


def coordinates_of(adata: AnnData, spatial_key: str) -> Float64Array:
    """Coordinates (N, D) in `obsm`, or (N, 1) of a column of `obs`, such as a time.

    Raises
    ------
    TypeError, ValueError
        There are none, or they are not finite numbers.
    """
    if spatial_key in adata.obsm:
        found: Any = adata.obsm[spatial_key]
        name = f"adata.obsm[{spatial_key!r}]"
    elif spatial_key in adata.obs:
        found, name = column(adata.obs, spatial_key), f"adata.obs[{spatial_key!r}]"
    else:
        raise ValueError(
            f"spatial_key={spatial_key!r} is neither in adata.obsm, which has "
            f"{sorted(adata.obsm)}, nor a column of adata.obs; put the coordinates (N, D) into "
            f"adata.obsm[{spatial_key!r}], or name their key."
        )
    return check_coordinates(np.asarray(found), adata.n_obs, name=name)


def samples_of(adata: AnnData, sample_key: str | None) -> np.ndarray | None:
    """The slide of every row, (N,) strings; None without a key.

    Raises
    ------
    ValueError
        There is no such column, or a row has no slide.
    """
    if sample_key is None:
        return None
    if sample_key not in adata.obs:
        raise ValueError(
            f"sample_key={sample_key!r} is not in adata.obs, which has {sorted(adata.obs.columns)}."
        )
    slides = column(adata.obs, sample_key)
    if slides.isna().any():
        raise ValueError(
            f"sample_key={sample_key!r} is missing in {int(slides.isna().sum())} rows; drop them."
        )
    return slides.astype(str).to_numpy(dtype=object)
