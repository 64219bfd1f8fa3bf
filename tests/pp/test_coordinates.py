"""Coordinates in a box of standard size."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

import lowdim as ld
from lowdim.pp._coordinates import scaled_coordinates


def geometric_side(places: np.ndarray) -> float:
    extent = np.ptp(places, axis=0)
    return float(np.exp(np.log(extent[extent > 0]).mean()))


@pytest.mark.parametrize("n_axes", [1, 2, 3])
def test_the_box_has_the_side_and_no_axis_is_stretched(n_axes: int) -> None:
    places = np.random.default_rng(0).uniform(size=(30, n_axes)) * [900.0, 30.0, 7.0][:n_axes]
    scaled = scaled_coordinates(places + 1e4, side=3.0)
    assert geometric_side(scaled) == pytest.approx(3)
    np.testing.assert_allclose(scaled.max(0), -scaled.min(0))
    ratios = np.ptp(scaled, axis=0) / np.ptp(places, axis=0)
    np.testing.assert_allclose(ratios, ratios[0])


def test_integers_constant_axes_and_single_places() -> None:
    line = np.column_stack([np.arange(5), np.full(5, 7)])
    scaled = scaled_coordinates(line)
    np.testing.assert_allclose(scaled, [[-2, 0], [-1, 0], [0, 0], [1, 0], [2, 0]])
    assert line.dtype == int  # what was given stays
    np.testing.assert_array_equal(line[:, 1], 7)
    np.testing.assert_array_equal(scaled_coordinates([[3, 4]]), [[0, 0]])


def test_samples_are_centred_on_their_own_and_keep_their_distances(awkward: ad.AnnData) -> None:
    awkward.obsm["spatial"][25:] += 10_000
    before = awkward.obsm["spatial"].copy()
    ld.pp.scale_coordinates(awkward, sample_key="slide")
    scaled = awkward.obsm["spatial_scaled"]
    np.testing.assert_array_equal(awkward.obsm["spatial"], before)
    sides = [geometric_side(scaled[:25]), geometric_side(scaled[25:])]
    assert max(sides) == pytest.approx(4)
    for own in (slice(0, 25), slice(25, None)):
        np.testing.assert_allclose(scaled[own].max(0), -scaled[own].min(0))
        distances = np.linalg.norm(np.diff(before[own], axis=0), axis=1)
        ratios = np.linalg.norm(np.diff(scaled[own], axis=0), axis=1) / distances
        np.testing.assert_allclose(ratios, 4 / max(map(geometric_side, (before[:25], before[25:]))))


def test_a_copy_leaves_the_original(awkward: ad.AnnData) -> None:
    result = ld.pp.scale_coordinates(awkward, key_added="box", copy=True)
    assert result is not None
    assert "box" in result.obsm
    assert "box" not in awkward.obsm


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"side": 0}, "side=0"),
        ({"spatial_key": "xy"}, "spatial_key='xy' is not in adata.obsm"),
        ({"sample_key": "donor"}, "sample_key='donor'"),
    ],
)
def test_wrong_arguments_are_named(awkward: ad.AnnData, changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ld.pp.scale_coordinates(awkward, **changes)


def test_unknown_places_are_named(awkward: ad.AnnData) -> None:
    places = awkward.obsm["spatial"].astype(float)
    places[4, 1] = np.nan
    awkward.obsm["spatial"] = places
    with pytest.raises(ValueError, match="spatial is not finite in row 4"):
        ld.pp.scale_coordinates(awkward)
