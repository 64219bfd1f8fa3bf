"""Families of components: planted ones, monotone sums, and the case where k-means is the answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

import lowdim as ld
from lowdim.samples import component_families
from lowdim.samples._wasserstein_means import Components, Grouping, wasserstein_means
from lowdim.transport import Mixtures, bures_barycenter, gaussian_wasserstein

WIDTHS = np.array([[4.0, 0.1], [0.1, 4.0], [1.0, 1.0]])


def planted(
    S: int = 12, K: int = 4, *, full: bool = True, apart: float = 0.0, seed: int = 0
) -> tuple[Any, np.ndarray]:
    """Mixtures of three families, which differ in covariance and, by `apart`, in mean."""
    rng = np.random.default_rng(seed)
    families = rng.integers(3, size=(S, K))
    means = apart * families[..., None] + 0.1 * rng.normal(size=(S, K, 2))
    covariances = WIDTHS[families] * rng.uniform(0.8, 1.2, size=(S, K, 2))
    if full:
        angle = rng.normal(scale=0.1, size=(S, K))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        turn = np.moveaxis(turn, (0, 1), (2, 3))
        covariances = (turn * covariances[..., None, :]) @ turn.swapaxes(-1, -2)
    weights = rng.dirichlet(np.full(K, 3.0), size=S)
    weights[0, 0], families[0, 0] = 0.0, -1
    mixtures = Mixtures.of(weights / weights.sum(1, keepdims=True), means, covariances)
    order = np.argsort(families == -1, axis=1, kind="stable")
    names = np.array([f"s{s}" for s in range(S)], dtype=object)
    fitted = SimpleNamespace(mixtures=lambda: mixtures, names_=names)
    return fitted, np.take_along_axis(families, order, axis=1)


@pytest.mark.parametrize("full", [True, False])
def test_families_that_differ_in_covariance_only_are_found(full: bool) -> None:
    gmm, families = planted(full=full)
    found = component_families(gmm, random_state=0)
    assert found.n_families == 3 and found.silhouettes.idxmax() == 3
    assert adjusted_rand_score(families.ravel(), found.labels.ravel()) == 1.0
    np.testing.assert_array_equal(found.labels == -1, families == -1)
    np.testing.assert_allclose(found.weights.sum(1), 1.0)
    assert (np.diff(found.weights.sum(0)) <= 0).all()
    said = "ComponentFamilies(3 families of 47 components; 12 samples; 2 columns)"
    assert repr(found) == said
    table = found.table()
    assert table.shape == (12, 3) and table.index.name == "sample"
    by_means = component_families(gmm, 3, method="means", random_state=0)
    assert adjusted_rand_score(families.ravel(), by_means.labels.ravel()) < 0.5


def test_a_family_is_its_barycentre_and_how_far_its_components_are_off() -> None:
    gmm, _ = planted(apart=5.0)
    found, m = component_families(gmm, 3, random_state=0), gmm.mixtures()
    for f in range(3):
        own = found.labels == f
        share = m.weights[own] / m.weights[own].sum()
        np.testing.assert_allclose(found.means[f], share @ m.means[own])
        expected = bures_barycenter(m.covariances[own], share)
        np.testing.assert_allclose(found.covariances[f], expected, rtol=1e-7, atol=1e-9)
        off = gaussian_wasserstein(
            m.means[own], m.covariances[own], found.means[[f]], expected[None]
        )
        assert found.spreads[f] == pytest.approx(np.sqrt(share @ off[:, 0] ** 2), rel=1e-6)
        np.testing.assert_allclose(found.weights[:, f], (m.weights * own).sum(1))


def scattered(S: int = 30, K: int = 5, d: int = 4) -> Components:
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(S, K, d, d + 1)) * rng.uniform(0.2, 2.0, size=(S, K, d, 1))
    weights = rng.dirichlet(np.ones(K), size=S)
    means = 0.5 * rng.normal(size=(S, K, d))
    return Components.of(Mixtures.of(weights, means, roots @ roots.swapaxes(-1, -2)))


def test_the_objective_falls_from_any_start_and_ends_at_a_fixed_point() -> None:
    components = scattered()
    start = np.random.default_rng(1).integers(6, size=len(components.weights))
    found = wasserstein_means(components, Grouping(start, np.empty(0)), 200)
    assert len(found.objectives) > 5
    assert (np.diff(found.objectives) <= 1e-9 * found.objectives[0]).all()
    centers = []
    for f in range(6):
        own = found.labels == f
        share = components.weights[own] / components.weights[own].sum()
        centers.append(
            (share @ components.means[own], bures_barycenter(components.covariances[own], share))
        )
    means, spreads = (np.stack(part) for part in zip(*centers, strict=True))
    off = gaussian_wasserstein(components.means, components.covariances, means, spreads)
    np.testing.assert_array_equal(off.argmin(1), found.labels)
    total = components.weights @ off.min(1) ** 2
    assert found.objectives[-1] == pytest.approx(total, rel=1e-4)


def test_coordinates_bound_the_distance_and_are_it_for_diagonal_covariances() -> None:
    for full in (True, False):
        components = Components.of(planted(full=full)[0].mixtures())
        rows = components.coordinates()
        apart = np.linalg.norm(rows[:, None] - rows, axis=2)
        spreads = components.covariances
        exact = gaussian_wasserstein(components.means, spreads, components.means, spreads)
        assert (apart >= exact - 1e-7).all()
        if not full:
            np.testing.assert_allclose(apart, exact, atol=1e-7)


def test_groups_that_lose_all_components_get_others() -> None:
    components = scattered(S=6)
    start = np.zeros(len(components.weights), dtype=np.int64)
    start[:5] = np.arange(1, 6)  # groups of a single component
    found = wasserstein_means(components, Grouping(start, np.empty(0)), 50)
    assert len(np.unique(found.labels)) == 6


def test_fits_of_samples_have_families() -> None:
    rng = np.random.default_rng(0)
    places = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
    X = places[rng.integers(3, size=900)] + rng.normal(size=(900, 2))
    gmm = ld.SampleGaussianMixtures(3, random_state=0).fit(X, np.repeat(list("abc"), 300))
    found = component_families(gmm, random_state=0)
    assert found.n_families == 3 and list(found.names) == ["a", "b", "c"]
    np.testing.assert_allclose(np.sort(found.means.sum(1)), [0, 8, 8], atol=0.5)
    again = component_families(gmm, random_state=0)
    np.testing.assert_array_equal(again.labels, found.labels)
    np.testing.assert_array_equal(again.covariances, found.covariances)
    assert component_families(gmm, 1).n_families == 1


def test_bad_arguments_are_named() -> None:
    gmm, _ = planted(S=2)
    for arguments, message in (
        ({"n_families": 8}, "n_families=8 is more than the 7 different components"),
        ({"n_families": 0}, "n_families=0"),
        ({"method": "kmeans"}, "method='kmeans' is not a choice"),
        ({"n_init": 0}, "n_init=0"),
    ):
        with pytest.raises(ValueError, match=message):
            component_families(gmm, **arguments)


def test_a_dataset_brings_its_mixtures() -> None:
    adata = ld.data.simulate_cohort(4, 40, 4, n_components=3, random_state=0)
    data = ld.tl.fit_gmm(adata, sample_key="sample", k_comps=2, verbose=False)
    found, same = (component_families(own, 2, random_state=0) for own in (data, data.gmm))
    np.testing.assert_array_equal(found.labels, same.labels)
    with pytest.raises(ValueError, match="no mixtures yet; fit them"):
        component_families(ld.SampleDataset.from_anndata(adata, sample_key="sample"))
