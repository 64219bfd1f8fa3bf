"""The number of clusters or components."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.metrics import adjusted_rand_score

from lowdim import (
    GaussianMixture,
    KMeans,
    NegativeBinomialMixture,
    SoftKMeans,
    SubspaceMixture,
    select_mixture,
)
from lowdim.mixture.sizes import elbow_of


def clusters(k: int = 4, n: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Clusters whose centres are about as far from each other, the first four just so."""
    rng = np.random.default_rng(seed)
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    centres = np.concatenate([6.0 * corners, 12.0 * rng.normal(size=(max(0, k - 4), 3))])[:k]
    labels = rng.integers(k, size=n)
    return centres[labels] + rng.normal(size=(n, 3)) * [1.5, 1.0, 0.5], labels


@pytest.mark.parametrize("criterion", ["bic", "icl", "heldout"])
def test_gaussian_components_are_counted(criterion: str) -> None:
    X, labels = clusters()
    found = select_mixture(X, GaussianMixture(random_state=0), n_components=6, criterion=criterion)
    assert found.criterion == criterion
    assert abs(found.n_components_ - 4) <= (criterion == "heldout")
    assert adjusted_rand_score(labels, found.estimators_[4].predict(X)) > 0.98
    assert found.best_estimator_ is found.estimators_[found.n_components_]
    assert found.table["n_components"].tolist() == [1, 2, 3, 4, 5, 6]
    assert list(found.estimators_) == [1, 2, 3, 4, 5, 6]
    for name in ("bic", "aic", "icl"):
        expected = [getattr(model, name)(X) for model in found.estimators_.values()]
        np.testing.assert_allclose(found.table[name], expected)
    totals = [model.score_samples(X).sum() for model in found.estimators_.values()]
    np.testing.assert_allclose(found.table["log_likelihood"], totals)
    assert ("heldout" in found.table) == (criterion == "heldout")


@pytest.mark.parametrize("estimator", [KMeans(random_state=0), SoftKMeans(random_state=0)])
def test_clusters_are_counted_by_the_elbow(estimator: Any) -> None:
    X, labels = clusters()
    found = select_mixture(X, estimator, n_components=8)
    assert found.criterion == "elbow"
    assert found.n_components_ == 4
    assert adjusted_rand_score(labels, found.best_estimator_.labels_) > 0.98
    if isinstance(estimator, KMeans):
        assert (np.diff(found.table["inertia"]) < 0).all()
    with pytest.raises(ValueError, match="needs a likelihood"):
        select_mixture(X, estimator, criterion="bic")


def test_subspaces_and_every_form_of_rows_are_taken() -> None:
    X, _ = clusters(3)
    estimator = SubspaceMixture(dims=1, n_init=2, random_state=0)
    expected = select_mixture(X, estimator, n_components=[2, 3]).table
    for form in (sp.csr_matrix, pd.DataFrame, ad.AnnData):
        table = select_mixture(form(X), estimator, n_components=[2, 3]).table
        np.testing.assert_allclose(table["bic"], expected["bic"], rtol=1e-6)
    assert estimator.n_components == SubspaceMixture().n_components  # not changed


def test_a_smaller_fit_helps_the_next() -> None:
    """From bad starts the warm ones win, and never does a larger fit lose to a smaller one."""
    X, _ = clusters(9, 900)
    poor = GaussianMixture(
        init_params="random", n_init=1, random_state=0, tol=1e-4, covariance_type="spherical"
    )
    cold = select_mixture(X, poor, n_components=9, warm_start=False).table
    warm = select_mixture(X, poor, n_components=9).table
    assert not cold["from_smaller"].any()
    assert warm["from_smaller"].any()
    assert (warm["log_likelihood"] >= cold["log_likelihood"] - 1e-6).all()
    assert warm["log_likelihood"].iloc[-1] > cold["log_likelihood"].iloc[-1] + 10
    assert (np.diff(warm["log_likelihood"]) > 0).all()


def test_rows_held_out_were_not_fitted() -> None:
    """With few rows and many components the likelihood of what was fitted grows for ever."""
    X = np.random.default_rng(0).normal(size=(60, 2))
    found = select_mixture(
        X, GaussianMixture(random_state=0), n_components=8, criterion="heldout", test_size=0.5
    )
    assert found.n_components_ <= 2
    assert (np.diff(found.table["log_likelihood"]) > 0).all()


def test_weights_jobs_and_seeds() -> None:
    X, _ = clusters()
    weight = np.ones(len(X))
    weight[:100] = 0
    estimator = GaussianMixture(random_state=0)
    options: dict[str, Any] = {"n_components": 5, "criterion": "heldout", "random_state": 3}
    one = select_mixture(X, estimator, sample_weight=weight, **options)
    two = select_mixture(X, estimator, sample_weight=weight, n_jobs=2, **options)
    pd.testing.assert_frame_equal(one.table, two.table)
    other = select_mixture(X, estimator, sample_weight=weight, **{**options, "random_state": 4})
    assert (other.table["heldout"] != one.table["heldout"]).any()


def test_mixtures_of_counts_are_chosen_by_rows_held_out() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=400)
    means = rng.gamma(1.0, 3.0, size=(3, 40))
    X = sp.csr_matrix(rng.poisson(means[labels]))
    estimator = NegativeBinomialMixture(dispersion="poisson", n_init=1, random_state=0)
    found = select_mixture(X, estimator, n_components=5)
    assert found.criterion == "heldout"
    assert abs(found.n_components_ - 3) <= 1
    assert adjusted_rand_score(labels, found.estimators_[3].predict(X)) > 0.95
    with pytest.warns(UserWarning, match="prefer 'heldout'"):
        select_mixture(X, estimator, n_components=[2], criterion="bic")


def test_a_size_that_fails_does_not_stop_the_others() -> None:
    X = np.repeat(np.random.default_rng(0).normal(size=(5, 2)), 8, axis=0)
    strict = GaussianMixture(reg_covar=0.0, random_state=0)
    found = select_mixture(X, strict, n_components=6)
    failed = [size for size, model in found.estimators_.items() if model is None]
    assert failed
    assert found.table.set_index("n_components").loc[failed, "bic"].isna().all()
    assert found.n_components_ not in failed
    with pytest.raises(ValueError, match="Every size failed"):
        select_mixture(X, strict, n_components=failed[-1:], warm_start=False)


def test_the_elbow_is_where_the_curve_bends() -> None:
    sizes = np.arange(1.0, 9)
    assert elbow_of(sizes, np.array([100, 70, 40, 10, 9, 8, 7, 6.0])) == 3
    assert elbow_of(sizes, np.full(8, 2.0)) == 0
    assert elbow_of(np.array([4.0]), np.array([1.0])) == 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_components": []}, ValueError, "n_components is empty"),
        ({"n_components": [0, 1]}, ValueError, "n_components=0"),
        ({"criterion": "best"}, ValueError, "criterion='best'"),
        ({"test_size": 1.0}, ValueError, "test_size"),
        ({"n_jobs": 0}, ValueError, "n_jobs"),
        ({"estimator": 3}, TypeError, "estimator is of type int"),
    ],
)
def test_bad_arguments_are_named(options: dict, error: type[Exception], message: str) -> None:
    options = {"estimator": GaussianMixture(), **options}
    with pytest.raises(error, match=message):
        select_mixture(np.random.default_rng(0).normal(size=(20, 2)), **options)
