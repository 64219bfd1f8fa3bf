"""Places of samples from their distances: closed forms, invariants, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr

from lowdim.samples import classical_mds, embed_samples
from lowdim.samples.embedding import METHODS

QUICK = settings(derandomize=True, deadline=None, max_examples=30)


def between(points: np.ndarray) -> np.ndarray:
    """Euclidean distances of all pairs."""
    return squareform(pdist(points))


@QUICK
@given(st.integers(3, 25), st.integers(1, 4), st.integers(0, 10**6))
def test_principal_coordinates_of_euclidean_distances_are_those_of_a_pca(
    S: int, d: int, seed: int
) -> None:
    points = np.random.default_rng(seed).normal(size=(S, d))
    centred = points - points.mean(0)
    spread = np.linalg.svd(centred, compute_uv=False)
    found, explained = classical_mds(between(points), d)
    np.testing.assert_allclose(between(found), between(points), atol=1e-6)
    kept = len(spread)
    np.testing.assert_allclose(explained[:kept], spread**2 / (spread**2).sum(), atol=1e-8)
    largest = found[np.abs(found).argmax(0), np.arange(d)]
    assert (largest >= 0).all()


@QUICK
@given(st.sampled_from(METHODS), st.integers(2, 9), st.integers(1, 3), st.integers(0, 1000))
def test_few_samples_have_places(method: str, S: int, n: int, seed: int) -> None:
    if method == "diffusion" and n >= S:
        n = S - 1
    distances = between(np.random.default_rng(seed).normal(size=(S, 2)))
    found = embed_samples(distances, n, method=method)
    assert found.shape == (S, n)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, embed_samples(distances, n, method=method))


@pytest.mark.parametrize("method", ["mds", "classical", "diffusion"])
def test_the_order_of_samples_does_not_matter(method: str) -> None:
    rng = np.random.default_rng(1)
    distances = between(rng.normal(size=(12, 4)) * [4, 2, 1, 1])
    order = rng.permutation(12)
    found = embed_samples(distances, method=method)
    moved = embed_samples(distances[np.ix_(order, order)], method=method)
    np.testing.assert_allclose(moved, found[order], atol=1e-4 * np.abs(found).max())


def test_metric_scaling_is_at_least_as_good_as_its_start() -> None:
    rng = np.random.default_rng(2)
    distances = between(rng.normal(size=(20, 6)))
    stress = {
        method: ((between(embed_samples(distances, method=method)) - distances) ** 2).sum()
        for method in ("classical", "mds")
    }
    assert stress["mds"] < 0.9 * stress["classical"]
    flat = between(rng.normal(size=(20, 2)))
    np.testing.assert_allclose(between(embed_samples(flat)), flat, atol=1e-6)


@pytest.mark.parametrize("bandwidth", ["median", "self_tuning", 0.7])
def test_a_diffusion_map_of_a_ring_is_a_ring_in_its_order(bandwidth: Any) -> None:
    """ggml-ot takes rows of the matrix of eigenvectors, which have no order along the ring."""
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    order = np.random.default_rng(0).permutation(40)
    distances = between(np.c_[np.cos(angles), np.sin(angles)][order])
    found = embed_samples(distances, method="diffusion", bandwidth=bandwidth)
    radius = np.hypot(*found.T)
    assert radius.max() < 1.001 * radius.min()
    turned = np.arctan2(*found[np.argsort(order)].T)
    steps = np.abs(np.angle(np.exp(1j * np.diff(turned))))
    np.testing.assert_allclose(steps, 2 * np.pi / 40, atol=1e-6)


def test_a_diffusion_map_of_a_line_runs_along_it_whatever_its_density() -> None:
    rng = np.random.default_rng(3)
    places = np.sort(rng.beta(0.7, 2.0, size=60))
    distances = between(np.c_[places, 0.01 * rng.normal(size=60)])
    found = embed_samples(distances, method="diffusion", bandwidth=0.2)
    assert abs(spearmanr(places, found[:, 0]).statistic) > 0.999
    # The second function on a line bends once: both ends on one side, the middle on the other.
    bend = found[:, 1]
    assert bend[0] * bend[-1] > 0
    assert np.count_nonzero(np.diff(np.sign(bend))) == 2


def test_a_diffusion_map_takes_the_density_out() -> None:
    """With alpha = 1 the leading function on a line is a cosine of its length, for any density."""
    places = ((np.arange(400) + 0.5) / 400) ** 2  # most points near zero
    distances = np.abs(places[:, None] - places)
    cosine = np.cos(np.pi * places)

    def error(bandwidth: float, alpha: float) -> float:
        found = embed_samples(distances, 1, method="diffusion", bandwidth=bandwidth, alpha=alpha)[
            :, 0
        ]
        line = np.polyfit(found, cosine, 1)
        return float(np.abs(np.polyval(line, found) - cosine).max())

    assert error(0.01, 1.0) < 0.006 < 0.05 < error(0.01, 0.0)
    assert error(0.01, 1.0) < 0.6 * error(0.02, 1.0)  # what is left goes with the bandwidth


def test_groups_stay_apart_in_every_picture() -> None:
    rng = np.random.default_rng(4)
    labels = np.repeat([0, 1, 2], 10)
    centres = 6 * np.eye(5)[:3]
    distances = between(centres[labels] + rng.normal(size=(30, 5)))
    for method in METHODS:
        found = between(embed_samples(distances, method=method))
        np.fill_diagonal(found, np.inf)
        assert (labels[found.argmin(1)] == labels).mean() > 0.95, method


@pytest.mark.parametrize("method", METHODS)
def test_equal_samples_share_a_place(method: str) -> None:
    found = embed_samples(np.zeros((5, 5)), method=method)
    assert np.isfinite(found).all()
    if method != "diffusion":
        np.testing.assert_allclose(found, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("distances", "message"),
    [
        (np.zeros((2, 3)), r"shape \(2, 3\); pass a square matrix"),
        (np.zeros((1, 1)), "1 sample"),
        ([[0, 1], [2, 0]], "not symmetric: 1 from '0' to '1', and 2 back"),
        ([[0, np.nan], [np.nan, 0]], "2 value.s. that are negative or not finite.*'0', '1'"),
        ([[0, -1], [-1, 0]], "the first -1"),
        ([[0, 1], [1, 0.5]], "0.5 on the diagonal, at '1'"),
        (pd.DataFrame(np.zeros((2, 2)), ["a", "b"], ["b", "a"]), "rows and columns of other names"),
    ],
)
def test_what_are_no_distances_is_an_error(distances: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        embed_samples(distances)


def test_bad_arguments_are_errors() -> None:
    distances = between(np.random.default_rng(0).normal(size=(5, 2)))
    with pytest.raises(ValueError, match="method='isomap' is not a choice"):
        embed_samples(distances, method="isomap")
    with pytest.raises(ValueError, match="n_neighbors=5 is too large"):
        embed_samples(distances, method="umap", n_neighbors=5)
    with pytest.raises(ValueError, match="perplexity=5 is out of range"):
        embed_samples(distances, method="tsne", perplexity=5)
    with pytest.raises(ValueError, match="bandwidth='mean' is not a choice"):
        embed_samples(distances, method="diffusion", bandwidth="mean")
    with pytest.raises(ValueError, match="n_components=5 is too many"):
        embed_samples(distances, 5, method="diffusion")
