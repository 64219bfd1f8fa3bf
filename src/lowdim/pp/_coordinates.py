"""Coordinates in a box of standard size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._validation import check_interval
from lowdim.factorization._places import BOX, Places, check_coordinates
from lowdim.pp._input import samples_of, target_of

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._typing import Float64Array, IntArray


def scale_coordinates(
    adata: AnnData,
    *,
    spatial_key: str = "spatial",
    side: float = BOX,
    sample_key: str | None = None,
    key_added: str = "spatial_scaled",
    copy: bool = False,
) -> AnnData | None:
    """Centre coordinates and bring them to a standard size; no axis is stretched.

    The models here do this by themselves. It serves to give length scales without regard to the
    units of a slide, and to put several slides in one frame.

    Parameters
    ----------
    adata
        With coordinates in ``obsm[spatial_key]``, (N, D), numbers of any type.
    spatial_key
        Key of `obsm`.
    side
        Geometric mean of the extents along the axes afterwards; an axis without extent has no say.
    sample_key
        Column of `obs`: every sample is centred on its own, and all are divided by the same
        number, after which the largest one has this side.
    key_added
        Key of `obsm` to write; the coordinates themselves stay, because images refer to them.
    copy
        Write to a copy and return it.

    Returns
    -------
    None or AnnData, with ``obsm[key_added]``, (N, D), float64.

    Raises
    ------
    TypeError, ValueError
        An argument or the coordinates cannot be used.
    """
    check_interval(side, "side", low=0.0, closed="neither")
    samples = samples_of(adata, sample_key)
    if spatial_key not in adata.obsm:
        raise ValueError(
            f"spatial_key={spatial_key!r} is not in adata.obsm, which has {sorted(adata.obsm)}."
        )
    scaled = scaled_coordinates(adata.obsm[spatial_key], side, samples, name=spatial_key)
    target = target_of(adata, copy=copy)
    target.obsm[key_added] = scaled
    return target if copy else None


def scaled_coordinates(
    coordinates: Any,
    side: float = BOX,
    samples: IntArray | None = None,
    *,
    name: str = "coordinates",
) -> Float64Array:
    """Coordinates (N, D), each sample's centred, in units that give the largest one this side."""
    array = check_coordinates(coordinates, len(coordinates), name=name)
    samples = np.zeros(len(array), dtype=np.intp) if samples is None else samples
    rows = [np.flatnonzero(samples == s) for s in range(samples.max() + 1)]
    places = [Places.of(array[own]) for own in rows]
    # A sample at a single place has no size.
    scales = [p.scale for p in places if p.n_unique > 1] or [1.0]
    out = np.empty_like(array)
    for own, p in zip(rows, places, strict=True):
        out[own] = (array[own] - p.centre) * (side / (BOX * max(scales)))
    return out
