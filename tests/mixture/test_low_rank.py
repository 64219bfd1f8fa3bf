"""GaussianMixture with covariances of low rank, against scipy and the families it comes from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import lowdim as ld
from lowdim import GaussianMixture, SubspaceMixture


def blobs(n: int = 600, d: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Rows in three elongated clusters, and their labels."""
    planted = ld.data.subspaces(n, dims=[2, 1, 2], n_columns=d, random_state=0)
    return planted.X, planted.labels


def low_rank(k: int = 3, rank: int = 2, **options: Any) -> GaussianMixture:
    """An unfitted mixture."""
    options = {"random_state": 0, "tol": 1e-6, **options}
    return GaussianMixture(k, covariance_type="low_rank", rank=rank, **options)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_densities_are_scipys(form: Callable) -> None:
    X, _ = blobs(d=6)
    model = low_rank().fit(form(X))
    joint = np.stack(
        [
            np.log(w) + multivariate_normal(m, own @ own.T + noise * np.eye(6)).logpdf(X)
            for w, m, own, noise in zip(
                model.weights_, model.means_, model.loadings_, model.noise_variances_, strict=True
            )
        ],
        1,
    )
    rows = logsumexp(joint, 1)
    np.testing.assert_allclose(model.score_samples(form(X)), rows, rtol=1e-10)
    np.testing.assert_allclose(model.predict_proba(X), np.exp(joint - rows[:, None]), atol=1e-9)
    assert model.lower_bound_ == pytest.approx(rows.mean(), rel=1e-10)
    assert not hasattr(model, "covariances_")


def test_it_is_the_mixture_of_subspaces() -> None:
    X, labels = blobs(d=8)
    model = low_rank(init_params=labels).fit(X)
    other = SubspaceMixture(dims=[2] * 3, init=labels, tol=1e-6, max_iter=100).fit(X)
    np.testing.assert_allclose(model.score_samples(X), other.score_samples(X), rtol=1e-10)
    assert model.n_parameters() == other.n_parameters()
    assert model.bic(X) == pytest.approx(other.bic(X))


@pytest.mark.parametrize(("rank", "kind"), [(0, "spherical"), (4, "full")])
def test_its_ends_are_the_other_shapes(rank: int, kind: str) -> None:
    X, labels = blobs(d=4)
    model = low_rank(rank=rank, init_params=labels, tol=1e-11, max_iter=1000).fit(X)
    other = GaussianMixture(
        3, covariance_type=kind, init_params=labels, tol=1e-11, max_iter=1000, reg_covar=0.0
    ).fit(X)
    np.testing.assert_allclose(model.score_samples(X), other.score_samples(X), rtol=1e-6)
    assert model.n_parameters() == other.n_parameters()


def test_weights_are_repetitions() -> None:
    X, labels = blobs(n=300, d=5)
    weights = np.random.default_rng(0).integers(1, 4, size=300)
    weighted = low_rank(init_params=labels).fit(X, sample_weight=weights)
    start = np.repeat(labels, weights)
    repeated = low_rank(init_params=start).fit(np.repeat(X, weights, axis=0))
    np.testing.assert_allclose(weighted.score_samples(X), repeated.score_samples(X), rtol=1e-5)


def test_pieces_come_close_to_the_whole() -> None:
    X, _ = blobs(n=3000, d=5)
    model = low_rank()
    for start in range(0, 3000, 500):
        model.partial_fit(X[start : start + 500])
    assert model.score(X) > low_rank().fit(X).score(X) - 0.05


def test_files_keep_it_and_it_goes_on(tmp_path: Path) -> None:
    X, _ = blobs(d=5)
    model = low_rank(warm_start=True).fit(X)
    model.save(tmp_path / "model.h5")
    loaded = ld.load(tmp_path / "model.h5")
    np.testing.assert_array_equal(loaded.score_samples(X), model.score_samples(X))
    steps = model.n_iter_
    again = loaded.fit(X)
    assert again.n_iter_ < steps
    assert again.lower_bound_ >= model.lower_bound_ - 1e-9
    assert again.partial_fit(X[:200]).n_features_in_ == 5


def test_another_shape_leaves_nothing_of_the_last() -> None:
    X, _ = blobs(d=4)
    model = low_rank(warm_start=True).fit(X)
    for kind in ("full", "diag", "low_rank", "tied", "low_rank"):
        model.set_params(covariance_type=kind).fit(X)
        assert np.isfinite(model.score(X))
        assert hasattr(model, "loadings_") == hasattr(model, "noise_variances_")
        assert hasattr(model, "loadings_") == (kind == "low_rank") != hasattr(model, "precisions_")


def test_draws_have_the_moments_of_the_model() -> None:
    X, _ = blobs(d=4)
    model = low_rank(1).fit(X)
    rows, labels = model.sample(200_000, random_state=1)
    own = model.loadings_[0]
    expected = own @ own.T + model.noise_variances_[0] * np.eye(4)
    np.testing.assert_allclose(np.cov(rows.T), expected, atol=0.03 * np.trace(expected))
    assert not labels.any()


def test_sizes_are_chosen() -> None:
    X, _ = blobs(n=900, d=8)
    chosen = ld.select_mixture(X, low_rank(n_init=4), n_components=range(1, 6))
    assert chosen.n_components_ == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 5}, "rank=5 is more than the 4 column"),
        ({"rank": -1}, "rank"),
        ({"rank": 1.5}, "rank"),
        ({"means_init": np.zeros((3, 4))}, "means_init is not for"),
        ({"init_params": "whitened"}, "init_params"),
        ({"init_params": np.full(600, 7)}, "labels other than 0 to 2"),
        ({"accelerate": False}, "accelerate"),
        ({"reg_covar": 0.0}, "reg_covar"),
        ({"covariance_type": "low"}, "covariance_type"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], message: str) -> None:
    model = low_rank().set_params(**options)
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(blobs()[0])
