"""Densities: the same numbers as scipy, in every path, for rows near and far."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import logsumexp

from lowdim import SubspaceMixture

# Columns up to 64 have whole second moments, above that sketches.
CASES = [
    (1, [0, 1]),
    (2, [0, 1, 2]),
    (4, [0, 1, 2, 3, 4]),
    (8, [0, 3, 7, 8]),
    (9, [0, 4, 8, 9]),
    (64, [0, 2, 63, 64]),
    (70, [0, 1, 5, 69, 70]),
]


def orthonormal(rng: np.random.Generator, d: int, n_columns: int) -> np.ndarray:
    return np.linalg.qr(rng.normal(size=(n_columns, max(d, 1))))[0].T[:d]


def hand_made(n_columns: int, dims: list[int], seed: int = 0) -> SubspaceMixture:
    """A fitted estimator whose parameters are then replaced by arbitrary ones."""
    rng = np.random.default_rng(seed)
    k = len(dims)
    labels = np.arange(8 * k) % k
    model = SubspaceMixture(dims=dims, init=labels, max_iter=1, random_state=0)
    with pytest.warns(UserWarning, match="did not converge"):
        model.fit(rng.normal(size=(8 * k, n_columns)))
    model.weights_ = rng.dirichlet(np.full(k, 3.0))
    model.means_ = 2 * rng.normal(size=(k, n_columns))
    model.bases_ = [orthonormal(rng, d, n_columns) for d in dims]
    model.latent_variances_ = [np.sort(rng.uniform(1, 9, d))[::-1] for d in dims]
    model.noise_variances_ = rng.uniform(0.1, 1, k)
    model.dims_ = np.array(dims)
    return model


def some_rows(n_columns: int, seed: int = 1) -> np.ndarray:
    """Rows of ordinary and of large size, with zeros so that a sparse copy is one."""
    rng = np.random.default_rng(seed)
    X = 3 * rng.normal(size=(60, n_columns))
    X[rng.random(X.shape) < 0.5] = 0
    X[-5:] *= 100
    return X


@pytest.mark.parametrize(("n_columns", "dims"), CASES)
@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix], ids=["dense", "csr"])
def test_density_is_that_of_scipy(
    n_columns: int, dims: list[int], form: type, scipy_log_joint: Callable[..., np.ndarray]
) -> None:
    model, X = hand_made(n_columns, dims), some_rows(n_columns)
    expected = scipy_log_joint(model, X)
    total = logsumexp(expected, axis=1)
    given = form(X)
    np.testing.assert_allclose(model.score_samples(given), total, rtol=1e-10, atol=1e-10)
    np.testing.assert_array_equal(model.predict(given), expected.argmax(1))
    np.testing.assert_allclose(
        model.predict_proba(given), np.exp(expected - total[:, None]), rtol=1e-7, atol=1e-9
    )
    assert model.score(given) == pytest.approx(total.mean(), rel=1e-10)


@pytest.mark.parametrize("n_columns", [5, 20, 80])
def test_thin_subspaces_far_apart_keep_their_digits(
    n_columns: int, scipy_log_joint: Callable[..., np.ndarray]
) -> None:
    """Squares of 10^2 over a noise of 10^-6: cancellation may take 8 digits, not more."""
    model = hand_made(n_columns, [1, 2])
    model.noise_variances_ = np.array([1e-6, 1e-6])
    model.means_ *= 10
    X = np.concatenate([model.sample(20, random_state=s)[0] for s in range(3)])
    expected = logsumexp(scipy_log_joint(model, X), axis=1)
    np.testing.assert_allclose(model.score_samples(X), expected, atol=1e-5)


@pytest.mark.parametrize("n_columns", [5, 20, 80])
def test_float32_agrees_with_float64(n_columns: int) -> None:
    rng = np.random.default_rng(2)
    model = hand_made(n_columns, [0, 1, 2])
    X = np.concatenate([model.sample(100, random_state=s)[0] for s in range(3)])
    X += 0.1 * rng.normal(size=X.shape)
    double = model.score_samples(X)
    single = model.set_params(dtype="float32").score_samples(X)
    assert np.abs(single - double).max() < 1e-5 * n_columns
    assert np.abs(single - double).max() > 0  # float32 was used


@pytest.mark.parametrize(
    ("size", "dtype"),
    [
        (1e10, None),
        (1e10, "float32"),
        (1e30, "float32"),
        (1e150, None),
        (1e200, None),
        (1e200, "float32"),
        (1e300, None),
    ],
)
@pytest.mark.parametrize(("n_columns", "dims"), [(3, [0, 1, 3]), (12, [0, 1, 12]), (80, [0, 1, 2])])
def test_far_away_rows_still_have_probabilities(
    size: float, dtype: str | None, n_columns: int, dims: list[int]
) -> None:
    model = hand_made(n_columns, dims)
    rng = np.random.default_rng(3)
    X = np.concatenate([rng.normal(size=(6, n_columns)), np.ones((1, n_columns))]) * size
    labels = model.predict(X / size * 1e10)  # the slowest decay wins, however far
    model.set_params(dtype=dtype)
    proba = model.predict_proba(X)
    assert np.isfinite(proba).all()
    np.testing.assert_allclose(proba.sum(1), 1)
    np.testing.assert_array_equal(model.predict(X), labels)
    assert not np.isnan(model.score_samples(X)).any()
    assert (model.score_samples(X) < -1e15).all()
    assert np.isfinite(model.transform(X)).all()


@pytest.mark.parametrize("n_columns", [3, 12, 80])
def test_far_away_rows_keep_their_direction(n_columns: int) -> None:
    """Along its own axis a component decays slowest, and small values matter to the direction."""
    model = hand_made(n_columns, [1, 1])
    first, second = np.eye(n_columns)[0], np.ones(n_columns) / n_columns**0.5
    model.bases_ = [first[None], second[None]]
    model.means_[:] = 0
    for form in (np.asarray, sp.csr_matrix):
        near, far = form(np.stack([first, second])), form(np.stack([first, second]) * 1e200)
        row = form((first + 1e-5 * second)[None] * 1e200)
        assert model.predict(far).tolist() == model.predict(near * 1e9).tolist() == [0, 1]
        assert model.predict(row).tolist() == [0]


@pytest.mark.parametrize("n_columns", [3, 12])
def test_batches_of_restarts_are_independent(n_columns: int) -> None:
    """Scores of a batch of mixtures are those of each mixture alone."""
    import torch

    from lowdim.data import as_rows
    from lowdim.data.standardized import StandardizedRows
    from lowdim.mixture._family import concatenate
    from lowdim.mixture._subspace import density
    from lowdim.mixture._subspace.attributes import parameters_of

    X = some_rows(n_columns)
    rows = StandardizedRows(as_rows(X), device=torch.device("cpu"), dtype=torch.float64)
    (block,) = list(rows)
    parts = [parameters_of(hand_made(n_columns, [0, 1, 2], seed), rows) for seed in range(3)]
    for function in (density.log_joint, density.squared_distances):
        together = function(block, concatenate(parts))
        alone = torch.cat([function(block, part) for part in parts])
        assert together.shape == (3, 3, len(X))
        torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("n_columns", [3, 12, 80])
def test_distances_to_flats(n_columns: int) -> None:
    import torch

    from lowdim.data import as_rows
    from lowdim.data.standardized import StandardizedRows
    from lowdim.mixture._subspace.attributes import parameters_of
    from lowdim.mixture._subspace.infer import squared_distances

    X, model = some_rows(n_columns), hand_made(n_columns, [0, 1, 2])
    rows = StandardizedRows(as_rows(X), device=torch.device("cpu"), dtype=torch.float64)
    expected = []
    for mean, basis in zip(model.means_, model.bases_, strict=True):
        off = (X - mean) - (X - mean) @ basis.T @ basis
        expected.append(np.square(off).sum(1))
    np.testing.assert_allclose(
        squared_distances(rows, parameters_of(model, rows)), np.stack(expected, 1), rtol=1e-9
    )
