"""Fixed and background components: what is given stays, what is left is learned."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lowdim import SubspaceMixture


def flat_and_crowd(
    d: int, n_columns: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows around a flat that is known, rows around a line that is not, and the known flat."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(n_columns, max(d, 1))))[0].T[:d]
    mean = rng.normal(size=n_columns)
    known = mean + rng.normal(size=(150, d)) * [5.0, 3.0][:d] @ basis
    line = 8 + np.outer(4 * rng.normal(size=100), rng.normal(size=n_columns))
    X = np.concatenate([known, line])
    labels = np.repeat([1, 0], [150, 100])
    return X + 0.3 * rng.normal(size=X.shape), labels, mean, basis


@pytest.mark.parametrize("d", [0, 1, 2])
@pytest.mark.parametrize("n_columns", [4, 12, 80])
def test_a_fixed_flat_stays_and_learns_its_noise_and_weight(d: int, n_columns: int) -> None:
    X, labels, mean, basis = flat_and_crowd(d, n_columns)
    model = SubspaceMixture(
        dims=1, n_init=40, assignment="hard", fixed={"mean": mean, "basis": basis}, random_state=0
    ).fit(X)
    np.testing.assert_allclose(model.means_[1], mean, rtol=1e-12)
    np.testing.assert_allclose(np.abs(model.bases_[1]), np.abs(basis), rtol=1e-12)
    assert model.dims_.tolist() == [1, d]
    assert (model.predict(X) == labels).mean() > 0.97
    # At a fixed point of hard assignment everything that is learned has a closed form.
    own = X[model.predict(X) == 1] - mean
    along = np.square(own @ basis.T).mean(0)
    off = (np.square(own).sum(1).mean() - along.sum()) / (n_columns - d)
    assert model.weights_[1] == pytest.approx(len(own) / len(X), rel=1e-9)
    assert model.noise_variances_[1] == pytest.approx(off, rel=1e-9)
    np.testing.assert_allclose(model.latent_variances_[1], along, rtol=1e-9)


@pytest.mark.parametrize("init", ["kmeans", "points", "local"])
@pytest.mark.parametrize("d", [0, 1])
def test_single_starts_keep_away_from_a_fixed_flat(d: int, init: str) -> None:
    X, labels, mean, basis = flat_and_crowd(d, 12)
    hits = 0
    for seed in range(20):
        model = SubspaceMixture(
            dims=1, n_init=1, init=init, fixed={"mean": mean, "basis": basis}, random_state=seed
        ).fit(X)
        hits += (model.predict(X) == labels).mean() > 0.97
    assert hits >= 16


@pytest.mark.parametrize("assignment", ["soft", "hard", "closest"])
def test_what_is_given_is_given_back_bit_for_bit(assignment: str) -> None:
    for seed in range(8):
        X, _, mean, basis = flat_and_crowd(2, 5, seed)
        rng = np.random.default_rng(seed)
        background = {"mean": rng.normal(size=5), "noise_variance": float(rng.uniform(5, 50))}
        fixed = {"mean": mean, "basis": np.abs(basis[:1]), "latent_variances": [np.pi]}
        fixed["basis"] /= np.linalg.norm(fixed["basis"])
        model = SubspaceMixture(
            dims=1, assignment=assignment, fixed=fixed, background=background, n_init=2
        )
        model.set_params(random_state=0).fit(X)
        np.testing.assert_array_equal(model.means_[1:], [mean, background["mean"]])
        np.testing.assert_array_equal(np.abs(model.bases_[1]), fixed["basis"])
        assert model.latent_variances_[1].tolist() == [np.pi]
        assert model.noise_variances_[2] == background["noise_variance"]


@pytest.mark.parametrize("n_columns", [4, 12, 80])
def test_soft_fixed_components_satisfy_their_equations(n_columns: int) -> None:
    X, _, mean, basis = flat_and_crowd(1, n_columns)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(X))
    model = SubspaceMixture(
        dims=1, fixed={"mean": mean, "basis": basis}, tol=1e-13, max_iter=2000, random_state=0
    ).fit(X, sample_weight=weight)
    r = model.predict_proba(X)[:, 1] * weight
    centred = X - mean
    along = r @ np.square(centred @ basis.T) / r.sum()
    off = (r @ np.square(centred).sum(1) / r.sum() - along.sum()) / (n_columns - 1)
    assert model.weights_[1] == pytest.approx(r.sum() / weight.sum(), rel=1e-5)
    assert model.noise_variances_[1] == pytest.approx(off, rel=1e-5)
    np.testing.assert_allclose(model.latent_variances_[1], along, rtol=1e-5)


def test_a_basis_is_made_orthonormal() -> None:
    X, _, mean, basis = flat_and_crowd(2, 5)
    skewed = np.array([[2.0, 0.0], [1.0, 3.0]]) @ basis
    model = SubspaceMixture(dims=1, fixed={"mean": mean, "basis": skewed}, random_state=0).fit(X)
    own = model.bases_[1]
    np.testing.assert_allclose(own @ own.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(own.T @ own, basis.T @ basis, atol=1e-12)
    line = SubspaceMixture(dims=1, fixed={"mean": mean, "basis": 7 * basis[0]}, random_state=0)
    np.testing.assert_allclose(np.abs(line.fit(X).bases_[1]), np.abs(basis[:1]), atol=1e-12)


@pytest.mark.parametrize("d", [0, 1, 2])
@pytest.mark.parametrize("n_columns", [4, 12, 80])
def test_of_a_background_only_the_weight_is_learned(
    d: int, n_columns: int, scipy_log_joint: Callable
) -> None:
    X, labels, mean, basis = flat_and_crowd(d, n_columns)
    background = {
        "mean": mean,
        "basis": basis,
        "latent_variances": np.array([30.0, 7.0])[:d],
        "noise_variance": 0.123,
    }
    model = SubspaceMixture(dims=1, background=background, random_state=0, tol=1e-12)
    model.set_params(max_iter=1000).fit(X)
    np.testing.assert_allclose(model.means_[1], mean, rtol=1e-12)
    np.testing.assert_allclose(model.noise_variances_[1], 0.123, rtol=1e-12)
    np.testing.assert_allclose(model.latent_variances_[1], [30.0, 7.0][:d], rtol=1e-12)
    assert model.weights_[1] == pytest.approx(model.predict_proba(X)[:, 1].mean(), rel=1e-6)
    joint = scipy_log_joint(model, X)
    np.testing.assert_allclose(model.score_samples(X), np.logaddexp(*joint.T), rtol=1e-9)
    assert (model.predict(X) == labels).mean() > 0.9


@pytest.mark.parametrize("n_columns", [2, 12, 80])
def test_a_uniform_background_takes_the_outliers(n_columns: int) -> None:
    rng = np.random.default_rng(0)
    line = np.outer(5 * rng.normal(size=200), np.ones(n_columns) / n_columns**0.5)
    line += 0.1 * rng.normal(size=line.shape)
    outliers = rng.uniform(-20, 20, (40, n_columns))
    X = np.concatenate([line, outliers])
    model = SubspaceMixture(dims=1, background="uniform", tol=1e-12, random_state=0).fit(X)
    assert np.isinf(model.noise_variances_[1])
    assert np.isnan(model.means_[1]).all()
    assert model.dims_.tolist() == [1, 0]
    truth = np.repeat([0, 1], [200, 40])
    assert (model.predict(X) == truth).mean() > 0.97
    assert model.noise_variances_[0] == pytest.approx(0.01, rel=0.2)
    # Its density is one over the volume of the box.
    density = -np.log(np.ptp(X, axis=0)).sum()
    joint = model.score_samples(X) + np.log(model.predict_proba(X)[:, 1])
    far = np.zeros((1, n_columns))
    far[0, 0] = 19.0
    for rows in (far, outliers):
        proba = model.predict_proba(rows)[:, 1]
        sure = proba > 0.5
        joint = model.score_samples(rows)[sure] + np.log(proba[sure])
        np.testing.assert_allclose(joint, np.log(model.weights_[1]) + density, rtol=1e-8)
    assert np.isfinite(model.score_samples(X)).all()


def test_a_uniform_background_follows_the_units() -> None:
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(100, 3)), rng.uniform(-9, 9, (30, 3))])
    model = SubspaceMixture(dims=0, background="uniform", random_state=0)
    one = model.fit(X)
    weights, rows = one.weights_, one.score_samples(X)
    two = model.fit(X * 1024 + 7)
    np.testing.assert_allclose(two.weights_, weights, rtol=1e-8)
    np.testing.assert_allclose(two.score_samples(X * 1024 + 7) + 3 * np.log(1024), rows, rtol=1e-8)


def test_several_are_kept_in_the_order_fixed_then_background() -> None:
    X, _, mean, basis = flat_and_crowd(2, 5)
    model = SubspaceMixture(
        dims=[0, 1],
        fixed=[{"mean": mean, "basis": basis}, {"mean": mean + 1}],
        background=["uniform", {"mean": mean - 1, "noise_variance": 3.0}],
        n_init=2,
        random_state=0,
    ).fit(X)
    assert model.dims_.tolist() == [0, 1, 2, 0, 0, 0]
    np.testing.assert_allclose(model.means_[[2, 3, 5]], [mean, mean + 1, mean - 1], atol=1e-12)
    assert np.isinf(model.noise_variances_[4])
    assert model.weights_.sum() == pytest.approx(1)
    assert model.predict_proba(X).shape == (250, 6)
    with pytest.raises(ValueError, match="cannot be sampled"):
        model.sample(3)


def test_sparse_rows_know_their_bounding_box() -> None:
    import scipy.sparse as sp

    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 6)) + 3
    X[rng.random(X.shape) < 0.4] = 0
    model = SubspaceMixture(dims=1, background="uniform", n_init=2, random_state=0)
    dense = model.fit(X).score_samples(X)
    np.testing.assert_allclose(model.fit(sp.csr_matrix(X)).score_samples(X), dense, rtol=1e-7)


def test_a_start_may_be_given_beside_held_components() -> None:
    X, labels, mean, basis = flat_and_crowd(1, 5)
    model = SubspaceMixture(
        dims=[1, 0], fixed={"mean": mean, "basis": basis}, init=1 - labels, random_state=0
    ).fit(X)
    assert model.dims_.tolist() == [1, 0, 1]
    np.testing.assert_allclose(model.means_[2], mean, rtol=1e-12)
    assert np.isfinite(model.score(X))
