"""The estimator: its attributes, its criteria, and what it tells about rows."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score

from lowdim import SubspaceMixture

# Attributes ---------------------------------------------------------------------------------------


def test_attributes_are_what_the_documentation_says(planted: Callable) -> None:
    simulated = planted(0)
    model = SubspaceMixture(dims=[1, 2, 1], n_init=4, random_state=0).fit(simulated.X)
    assert model.dims_.tolist() == [1, 2, 1]  # as they were asked for
    assert model.weights_.shape == (3,)
    assert model.weights_.sum() == pytest.approx(1)
    assert model.means_.shape == (3, 5)
    assert [basis.shape for basis in model.bases_] == [(1, 5), (2, 5), (1, 5)]
    assert model.noise_variances_.shape == (3,)
    assert model.restart_objectives_.shape == (4,)
    assert model.n_features_in_ == 5
    assert isinstance(model.lower_bound_, float)
    assert not model.degenerate_
    for basis, latent in zip(model.bases_, model.latent_variances_, strict=True):
        np.testing.assert_allclose(basis @ basis.T, np.eye(len(basis)), atol=1e-12)
        assert (np.take_along_axis(basis, np.abs(basis).argmax(1)[:, None], 1) > 0).all()
        assert (np.diff(latent) <= 0).all()
    # The truth, in the order of the planted components.
    labels = model.predict(simulated.X)
    for k in range(3):
        j = np.bincount(labels[simulated.labels == k]).argmax()
        true = simulated.bases[k]
        np.testing.assert_allclose(model.bases_[j].T @ model.bases_[j], true.T @ true, atol=0.05)
        assert model.noise_variances_[j] == pytest.approx(0.01, rel=0.2)


def test_an_int_of_dims_is_repeated(fitted: tuple[SubspaceMixture, np.ndarray]) -> None:
    X = fitted[1]
    model = SubspaceMixture(n_components=3, dims=2, n_init=2, random_state=0).fit(X)
    assert model.dims_.tolist() == [2, 2, 2]
    assert SubspaceMixture(random_state=0).fit(X).dims_.tolist() == [1]


def test_parameters_are_stored_untouched() -> None:
    dims, fixed = [2, 1], {"mean": np.zeros(5)}
    model = SubspaceMixture(dims=dims, fixed=fixed)
    assert model.get_params()["dims"] is dims
    assert model.get_params()["fixed"] is fixed
    copy = clone(model)
    assert copy.dims == dims
    assert copy.fixed["mean"].tolist() == [0] * 5


# Criteria -----------------------------------------------------------------------------------------


def count_by_hand(dims: list[int], n_columns: int) -> int:
    """Means, points on the Stiefel manifold, variances along axes, noises, free weights."""
    total = len(dims) - 1
    for d in dims:
        frame = d * n_columns - d * (d + 1) // 2  # d orthonormal vectors in D columns
        total += n_columns + frame + d + (d < n_columns)
    return total


@pytest.mark.parametrize(
    ("n_columns", "dims"), [(3, [2, 1, 1, 0]), (4, [4, 3, 2, 1, 0]), (1, [0, 1]), (12, [5, 12])]
)
def test_parameters_are_counted(n_columns: int, dims: list[int]) -> None:
    X = np.random.default_rng(0).normal(size=(80, n_columns))
    model = SubspaceMixture(dims=dims, n_init=1, random_state=0, tol=1e-2).fit(X)
    assert model.n_parameters() == count_by_hand(dims, n_columns)
    full = SubspaceMixture(dims=n_columns, random_state=0).fit(X)
    assert full.n_parameters() == n_columns + n_columns * (n_columns + 1) // 2
    shared = clone(model).set_params(shared_noise=True).fit(X)
    noises = sum(d < n_columns for d in dims)
    assert shared.n_parameters() == model.n_parameters() - noises + 1


def test_full_gaussians_share_no_noise() -> None:
    X = np.random.default_rng(0).normal(size=(80, 3))
    for shared in (False, True):
        model = SubspaceMixture(dims=[3, 3], shared_noise=shared, n_init=1, random_state=0).fit(X)
        assert model.n_parameters() == count_by_hand([3, 3], 3)


def test_held_components_count_what_they_learn() -> None:
    X = np.random.default_rng(0).normal(size=(80, 4))
    axes = {"mean": np.zeros(4), "basis": np.eye(4)[:2]}
    free = count_by_hand([1], 4)
    for fixed, background, own in [
        (axes, None, 3),  # noise and two variances
        ({**axes, "latent_variances": [2.0, 1.0]}, None, 1),
        ({"mean": np.zeros(4)}, None, 1),
        (None, "uniform", 0),
        (None, {"mean": np.zeros(4), "noise_variance": 9.0}, 0),
        ([axes, {"mean": np.ones(4)}], "uniform", 4),
    ]:
        model = SubspaceMixture(
            dims=1, fixed=fixed, background=background, n_init=1, random_state=0, tol=1e-2
        ).fit(X)
        held = (2 if isinstance(fixed, list) else int(fixed is not None)) + int(bool(background))
        assert model.n_parameters() == free + own + held  # one more weight each


def test_shared_noise_counts_once() -> None:
    X = np.random.default_rng(0).normal(size=(80, 4))
    fixed = [{"mean": np.zeros(4), "basis": np.eye(4)[:1]}, {"mean": np.ones(4)}]
    for dims, settings in itertools.product(
        ([1], [4], [1, 4]), ({"shared_noise": True}, {"assignment": "closest"})
    ):
        model = SubspaceMixture(
            dims=dims, fixed=fixed, n_init=1, random_state=0, tol=1e-2, **settings
        ).fit(X)
        noises = sum(d < 4 for d in dims)
        own = count_by_hand(dims, 4) - noises + 1  # the noise
        assert model.n_parameters() == own + 1 + 2  # a variance along an axis, two weights
        assert len(set(model.noise_variances_[np.array([*dims, 1, 0]) < 4])) == 1


def test_criteria_follow_their_formulas(fitted: tuple[SubspaceMixture, np.ndarray]) -> None:
    _, X = fitted
    model = SubspaceMixture(dims=[1, 1], n_init=3, random_state=0).fit(X)  # they overlap
    total, n = model.score_samples(X).sum(), model.n_parameters()
    assert model.aic(X) == pytest.approx(2 * n - 2 * total, rel=1e-13)
    assert model.bic(X) == pytest.approx(n * np.log(600) - 2 * total, rel=1e-13)
    proba = model.predict_proba(X)
    entropy = -(proba[proba > 0] * np.log(proba[proba > 0])).sum()
    assert entropy > 1e-3
    assert model.icl(X) - model.bic(X) == pytest.approx(2 * entropy, abs=1e-9)
    assert model.score(X) == pytest.approx(total / 600, rel=1e-13)
    # One component has nothing to be unsure about.
    one = SubspaceMixture(dims=2, random_state=0).fit(X)
    assert one.icl(X) == one.bic(X)


# Latent coordinates, reconstruction, sampling -----------------------------------------------------


def posterior_mean(model: SubspaceMixture, X: np.ndarray, k: int) -> np.ndarray:
    """E[latent | x] by the textbook formula for x = W t + mu + noise, in units of the axes."""
    basis, latent, noise = model.bases_[k], model.latent_variances_[k], model.noise_variances_[k]
    loadings = basis.T * np.sqrt(latent - noise)
    inner = loadings.T @ loadings + noise * np.eye(len(basis))
    scores = np.linalg.solve(inner, loadings.T @ (X - model.means_[k]).T).T
    return scores * np.sqrt(latent - noise)


def test_latent_coordinates_are_posterior_means(
    fitted: tuple[SubspaceMixture, np.ndarray],
) -> None:
    model, X = fitted
    for k in range(3):
        expected = posterior_mean(model, X, k)
        np.testing.assert_allclose(model.transform(X, k), expected, rtol=1e-8, atol=1e-10)
        np.testing.assert_array_equal(model.transform(X, k - 3), model.transform(X, k))
    assigned = model.transform(X)
    assert assigned.shape == (600, 2)
    labels = model.predict(X)
    for k, d in enumerate([1, 1, 2]):
        own = labels == k
        np.testing.assert_allclose(assigned[own, :d], model.transform(X, k)[own], rtol=1e-10)
        assert (assigned[own, d:] == 0).all()


def test_a_full_gaussian_has_no_noise_to_shrink_by(
    fitted: tuple[SubspaceMixture, np.ndarray],
) -> None:
    X = fitted[1]
    model = SubspaceMixture(dims=5, random_state=0).fit(X)
    z = (X - X.mean(0)) @ model.bases_[0].T
    np.testing.assert_allclose(model.transform(X), z, atol=1e-9)
    np.testing.assert_allclose(model.reconstruct(X), X, atol=1e-9)


def test_components_without_axes_have_no_coordinates(
    fitted: tuple[SubspaceMixture, np.ndarray],
) -> None:
    X = fitted[1]
    model = SubspaceMixture(dims=[0, 0], n_init=2, random_state=0).fit(X)
    assert model.transform(X).shape == (600, 0)
    assert model.transform(X, 1).shape == (600, 0)
    centres = model.predict_proba(X) @ model.means_
    np.testing.assert_allclose(model.reconstruct(X), centres, atol=1e-9)


@pytest.mark.parametrize("component", [3, -4, 1.0, "0"])
def test_an_unknown_component_is_refused(
    component: object, fitted: tuple[SubspaceMixture, np.ndarray]
) -> None:
    model, X = fitted
    with pytest.raises((ValueError, TypeError), match="is not one of the 3 components"):
        model.transform(X, component)


def test_reconstruction_is_the_posterior_mean_of_the_rows(
    fitted: tuple[SubspaceMixture, np.ndarray], planted: Callable
) -> None:
    model, X = fitted
    proba = model.predict_proba(X)
    expected = sum(
        proba[:, [k]] * (model.means_[k] + posterior_mean(model, X, k) @ model.bases_[k])
        for k in range(3)
    )
    np.testing.assert_allclose(model.reconstruct(X), expected, atol=1e-9)
    # It lies closer to the noise-free rows than the rows do.
    simulated = planted(0)
    clean = np.empty_like(X)
    for k in range(3):
        own, basis = simulated.labels == k, simulated.bases[k]
        clean[own] = simulated.means[k] + (X[own] - simulated.means[k]) @ basis.T @ basis
    assert np.square(model.reconstruct(X) - clean).sum() < 0.2 * np.square(X - clean).sum()


def test_samples_come_from_the_mixture(fitted: tuple[SubspaceMixture, np.ndarray]) -> None:
    model, _ = fitted
    rows, labels = model.sample(20_000, random_state=0)
    assert rows.shape == (20_000, 5)
    np.testing.assert_allclose(np.bincount(labels) / 20_000, model.weights_, atol=0.02)
    for k in range(3):
        own = rows[labels == k]
        basis, noise = model.bases_[k], model.noise_variances_[k]
        expected = noise * np.eye(5) + basis.T @ np.diag(model.latent_variances_[k] - noise) @ basis
        np.testing.assert_allclose(own.mean(0), model.means_[k], atol=0.2)
        np.testing.assert_allclose(np.cov(own.T), expected, atol=0.05 * np.trace(expected))
        off = own - model.means_[k]
        off = off - off @ basis.T @ basis
        assert np.square(off).sum(1).mean() == pytest.approx((5 - len(basis)) * noise, rel=0.05)
    assert adjusted_rand_score(labels, model.predict(rows)) > 0.98
    assert model.score(rows) == pytest.approx(model.score_samples(rows).mean())


def test_samples_repeat_with_their_seed(fitted: tuple[SubspaceMixture, np.ndarray]) -> None:
    model, _ = fitted
    one, two, other = (model.sample(50, random_state=s) for s in (3, 3, 4))
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])
    assert (one[0] != other[0]).any()
    np.testing.assert_array_equal(model.sample(5)[0], model.sample(5)[0])  # its own seed
    assert model.sample()[0].shape == (1, 5)


@pytest.mark.parametrize("n_samples", [-1, 1.5])
def test_a_number_of_samples_that_is_none_is_refused(
    n_samples: object, fitted: tuple[SubspaceMixture, np.ndarray]
) -> None:
    with pytest.raises((ValueError, TypeError), match=f"n_samples={n_samples}"):
        fitted[0].sample(n_samples)


def test_posteriors_are_softmaxes_of_the_joint(
    fitted: tuple[SubspaceMixture, np.ndarray], scipy_log_joint: Callable
) -> None:
    model, X = fitted
    joint = scipy_log_joint(model, X)
    total = logsumexp(joint, axis=1)
    np.testing.assert_allclose(model.score_samples(X), total, rtol=1e-9)
    np.testing.assert_allclose(
        model.predict_proba(X), np.exp(joint - total[:, None]), rtol=1e-6, atol=1e-12
    )
    np.testing.assert_array_equal(clone(model).fit_predict(X), model.predict(X))


# Small and odd data -------------------------------------------------------------------------------


def odd_data() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "two rows": rng.normal(size=(2, 4)),
        "two rows, one column": np.array([[0.0], [1.0]]),
        "one column": rng.normal(size=(30, 1)),
        "constant": np.ones((8, 3)),
        "constant, many columns": np.full((8, 90), 7.0),
        "zero": np.zeros((8, 3)),
        "constant column": np.c_[rng.normal(size=(40, 2)), np.ones(40)],
        "duplicate columns": np.repeat(rng.normal(size=(40, 2)), 3, axis=1),
        "duplicate rows": np.repeat(rng.normal(size=(4, 3)), 10, axis=0),
        "one outlier": np.r_[rng.normal(size=(40, 3)), [[1e6, 1e6, 1e6]]],
        "integers": rng.integers(0, 5, (40, 3)),
        "booleans": rng.random((40, 4)) < 0.5,
        "tiny": 1e-150 * rng.normal(size=(40, 3)),
        "huge": 1e140 * rng.normal(size=(40, 3)),
    }


@pytest.mark.filterwarnings("ignore:.*did not converge")
@pytest.mark.parametrize("assignment", ["soft", "hard", "closest"])
@pytest.mark.parametrize("name", odd_data())
def test_odd_data_give_finite_models(name: str, assignment: str) -> None:
    X = odd_data()[name]
    n, n_columns = X.shape
    candidates = [[0], [1], [n_columns]] if n == 2 else [[1], [n_columns], [0, 1], [1, 1, 0]]
    for dims in candidates:
        model = SubspaceMixture(dims=dims, assignment=assignment, n_init=3, random_state=0).fit(X)
        assert np.isfinite(model.lower_bound_)
        assert np.isfinite(model.score_samples(X)).all()
        assert np.isfinite(model.means_).all()
        assert (model.noise_variances_ > 0).all()
        assert model.weights_.sum() == pytest.approx(1)
        np.testing.assert_allclose(model.predict_proba(X).sum(1), 1)
        assert np.isfinite(model.reconstruct(X)).all()
        assert np.isfinite(model.transform(X)).all()
        assert np.isfinite(model.bic(X))


def test_a_component_on_the_floor_is_called_degenerate() -> None:
    X = np.repeat(np.random.default_rng(0).normal(size=(3, 4)), 20, axis=0)
    labels = np.repeat([0, 1, 2], 20)
    model = SubspaceMixture(dims=[0, 0, 0], init=labels).fit(X)
    assert model.degenerate_
    floor = 1e-6 * X.var(0).mean()
    np.testing.assert_allclose(model.noise_variances_, floor, rtol=1e-6)
    raised = SubspaceMixture(dims=[0, 0, 0], reg_covar=1e-2, init=labels).fit(X)
    np.testing.assert_allclose(raised.noise_variances_, 1e-2 * X.var(0).mean(), rtol=1e-6)
