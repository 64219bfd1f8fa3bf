"""Clusters and mixtures other than of subspaces, in the pictures made for these."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pytest
from matplotlib.patches import Ellipse

import lowdim as ld
from lowdim import GaussianMixture, KMeans, SoftKMeans
from lowdim.mixture._gaussian.covariance import SHAPES, matrices
from lowdim.pl._fitted import FittedSubspaces, read_fit

KINDS = (*SHAPES, "low_rank")


def rows(k: int = 3, d: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(k, size=300)
    return 8.0 * rng.normal(size=(k, d))[labels] + rng.normal(size=(300, d)) * [3, 1, 0.5], labels


def covariances_of(fit: FittedSubspaces) -> np.ndarray:
    """As the axes and the noise say, (K, D, D)."""
    eye = np.eye(fit.n_columns)
    return np.stack(
        [
            (basis.T * (latent - noise)) @ basis + noise * eye
            for basis, latent, noise in zip(
                fit.bases, fit.latent_variances, fit.noise_variances, strict=True
            )
        ]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_gaussians_are_seen_with_their_covariances(kind: str) -> None:
    X, labels = rows()  # as many components as columns: a tied matrix is no table of variances
    model = GaussianMixture(3, covariance_type=kind, init_params=labels).fit(X)
    if kind == "low_rank":
        own = model.loadings_
        expected = own @ own.swapaxes(1, 2) + model.noise_variances_[:, None, None] * np.eye(3)
    else:
        expected = matrices(model.covariances_, kind, 3, 3)
    adata = ad.AnnData(X)
    ld.tl.mixture(adata, GaussianMixture(covariance_type=kind), n_components=3)
    fit = read_fit(model)
    np.testing.assert_allclose(covariances_of(fit), expected, atol=1e-9)
    np.testing.assert_array_equal(fit.means, model.means_)
    stored = read_fit(adata, "mixture")
    assert stored.dims.tolist() == fit.dims.tolist()
    assert stored.means.shape == (3, 3)


def test_centroids_are_points_with_the_noise_of_their_model() -> None:
    X, _ = rows()
    hard, soft = KMeans(3, random_state=0).fit(X), SoftKMeans(3, beta=0.4, random_state=0).fit(X)
    np.testing.assert_allclose(read_fit(soft).noise_variances, 1 / (2 * 0.4))
    np.testing.assert_allclose(read_fit(hard).noise_variances, hard.inertia_ / X.size)
    assert read_fit(hard).dims.tolist() == [0, 0, 0]
    assert read_fit(hard).objective_trace[-1] == pytest.approx(-hard.inertia_)


@pytest.mark.parametrize("model", [KMeans(3), SoftKMeans(3), GaussianMixture(3)])
def test_every_picture_is_drawn(model: Any) -> None:
    X, labels = rows()
    model.set_params(random_state=0).fit(X)
    ax = ld.pl.subspaces(model, X)
    ellipses = [patch for patch in ax.patches if isinstance(patch, Ellipse)]
    assert len(ellipses) >= 3
    texts = [text.get_text() for text in ax.figure.legends[0].get_texts()]
    assert all(text.split(": ")[1].startswith("n = ") for text in texts)
    lines = ld.pl.composition(model, labels=labels, X=X).get_yticklabels()
    assert len(lines) == 3
    assert len(ld.pl.convergence(model).get_lines()[0].get_ydata()) >= 2
    if isinstance(model, KMeans):
        with pytest.raises(TypeError, match="KMeans has no probabilities"):
            ld.pl.responsibilities(model, X)
    else:
        ld.pl.responsibilities(model, X)


def test_counts_have_shares_but_no_place() -> None:
    rng = np.random.default_rng(0)
    adata = ad.AnnData(rng.poisson(rng.gamma(1.0, 3.0, size=(2, 20))[rng.integers(2, size=200)]))
    flat = ld.NegativeBinomialMixture(dispersion="poisson", n_init=1)
    ld.tl.mixture(adata, flat, n_components=2)
    assert ld.pl.responsibilities(adata, key="mixture").get_yticklabels()
    assert ld.pl.composition(adata, "mixture", "mixture").get_yticklabels()
    with pytest.raises(ValueError, match="no place among the rows"):
        ld.pl.subspaces(adata, key="mixture")


def test_what_is_missing_is_told() -> None:
    with pytest.raises(ValueError, match="not fitted"):
        ld.pl.subspaces(KMeans(2), np.zeros((3, 2)))
    with pytest.raises(TypeError, match="fitted mixture of lowdim"):
        ld.pl.composition(3, labels=[1])
    adata = ad.AnnData(rows()[0])
    ld.tl.mixture(adata, "kmeans", n_components=2)
    with pytest.raises(ValueError, match="k-means has no probabilities"):
        ld.pl.responsibilities(adata, key="mixture")
