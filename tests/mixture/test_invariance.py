"""What must not matter does not: units, storage, blocks, precision, seeds, repetition."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone

from lowdim import SubspaceMixture, data

FITTED = ["weights_", "means_", "noise_variances_", "dims_", "objective_trace_"]


def assert_same_bits(one: SubspaceMixture, two: SubspaceMixture) -> None:
    for name in FITTED:
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    np.testing.assert_array_equal(np.concatenate(one.bases_), np.concatenate(two.bases_))


def assert_close(one: SubspaceMixture, two: SubspaceMixture, rtol: float = 1e-8) -> None:
    scale = np.abs(one.means_).max()
    np.testing.assert_allclose(two.weights_, one.weights_, rtol=rtol)
    np.testing.assert_allclose(two.means_, one.means_, atol=rtol * scale)
    np.testing.assert_allclose(two.noise_variances_, one.noise_variances_, rtol=10 * rtol)
    assert two.lower_bound_ == pytest.approx(one.lower_bound_, rel=rtol)
    for a, b, latent in zip(one.bases_, two.bases_, one.latent_variances_, strict=True):
        np.testing.assert_allclose(b.T @ b, a.T @ a, atol=1e3 * rtol)
        assert latent.shape == (len(a),)


@pytest.mark.parametrize(
    ("factor", "shift"), [(1e-4, 0.0), (1e4, 0.0), (1.0, 1e4), (1e-4, 1.0), (1e4, -1e8)]
)
@pytest.mark.parametrize("n_columns", [5, 20, 80])
def test_units_change_nothing_but_units(n_columns: int, factor: float, shift: float) -> None:
    simulated = data.subspaces([100, 100, 100], dims=[0, 1, 2], n_columns=n_columns, random_state=1)
    X = simulated.X
    model = SubspaceMixture(dims=[0, 1, 2], n_init=2, random_state=0)
    one, two = clone(model).fit(X), clone(model).fit(X * factor + shift)
    np.testing.assert_array_equal(one.predict(X), two.predict(X * factor + shift))
    np.testing.assert_allclose(two.weights_, one.weights_, rtol=1e-6)
    np.testing.assert_allclose((two.means_ - shift) / factor, one.means_, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(two.noise_variances_ / factor**2, one.noise_variances_, rtol=1e-5)
    for a, b in zip(one.bases_, two.bases_, strict=True):
        np.testing.assert_allclose(b.T @ b, a.T @ a, atol=1e-5)
    logs = n_columns * np.log(factor)
    assert two.lower_bound_ + logs == pytest.approx(one.lower_bound_, rel=1e-7)
    np.testing.assert_allclose(
        two.score_samples(X * factor + shift) + logs, one.score_samples(X), rtol=1e-5
    )


def test_the_order_of_columns_and_a_rotation_do_not_matter(planted: Callable) -> None:
    X = planted(0).X
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0]
    labels = np.random.default_rng(1).integers(0, 3, 600)
    model = SubspaceMixture(dims=[1, 1, 2], init=labels)
    one = clone(model).fit(X)
    for moved, turned in ((X[:, ::-1], np.eye(5)[::-1]), (X @ turn, turn.T)):
        two = clone(model).fit(np.ascontiguousarray(moved))
        np.testing.assert_allclose(two.means_ @ turned, one.means_, atol=1e-6)
        assert two.lower_bound_ == pytest.approx(one.lower_bound_, rel=1e-9)


@pytest.mark.parametrize("assignment", ["soft", "hard", "closest"])
@pytest.mark.parametrize("n_columns", [5, 20, 80])
def test_sparse_rows_give_what_dense_rows_give(n_columns: int, assignment: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, n_columns)) + 2 * (np.arange(200) % 2)[:, None]
    X[:, : n_columns // 2] *= 2
    X[rng.random(X.shape) < 0.6] = 0
    model = SubspaceMixture(dims=[1, 2], assignment=assignment, n_init=3, random_state=0)
    dense = clone(model).fit(X)
    for form in (sp.csr_matrix, sp.csc_matrix, sp.csr_array):
        sparse = clone(model).fit(form(X))
        assert_close(dense, sparse)
    S = sp.csr_matrix(X)
    np.testing.assert_allclose(sparse.score_samples(S), dense.score_samples(X), rtol=1e-8)
    np.testing.assert_allclose(sparse.predict_proba(S), dense.predict_proba(X), atol=1e-7)
    np.testing.assert_array_equal(sparse.predict(S), dense.predict(X))
    np.testing.assert_allclose(
        np.abs(sparse.transform(S)), np.abs(dense.transform(X)), rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose(sparse.reconstruct(S), dense.reconstruct(X), atol=1e-6)


@pytest.mark.parametrize("n_columns", [5, 20, 80])
def test_the_size_of_blocks_does_not_matter(n_columns: int) -> None:
    X = data.subspaces([150, 150], dims=[1, 2], n_columns=n_columns, random_state=0).X
    model = SubspaceMixture(dims=[1, 2], n_init=3, random_state=0)
    whole = clone(model).fit(X)
    for batch_size in (300, 299, 64, 7):
        assert_close(whole, clone(model).set_params(batch_size=batch_size).fit(X))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"assignment": "hard"},
        {"assignment": "closest"},
        {"annealing": (0.3, 1.3)},
        {"shared_noise": True},
        {"dtype": "float32"},
    ],
    ids=str,
)
@pytest.mark.parametrize("n_columns", [5, 80])
def test_the_same_seed_gives_the_same_bits(n_columns: int, arguments: dict) -> None:
    X = data.subspaces([100, 100], dims=[1, 2], n_columns=n_columns, random_state=0).X
    model = SubspaceMixture(dims=[1, 2], n_init=3, random_state=7, **arguments)
    assert_same_bits(clone(model).fit(X), clone(model).fit(X))
    assert_same_bits(clone(model).fit(X), model.fit(X).fit(X))  # a second fit forgets the first


def test_another_seed_starts_elsewhere(fitted: tuple[SubspaceMixture, np.ndarray]) -> None:
    X = fitted[1]
    runs = [
        SubspaceMixture(dims=[1, 1, 2], n_init=6, random_state=seed).fit(X).restart_objectives_
        for seed in (0, 1)
    ]
    assert (runs[0] != runs[1]).any()


def test_generators_are_taken_as_seeds(fitted: tuple[SubspaceMixture, np.ndarray]) -> None:
    X = fitted[1]
    model = SubspaceMixture(dims=[1, 1, 2], n_init=2)
    for make in (np.random.default_rng, np.random.RandomState):
        one = clone(model).set_params(random_state=make(3)).fit(X)
        two = clone(model).set_params(random_state=make(3)).fit(X)
        assert_same_bits(one, two)


def test_the_global_generators_are_left_alone(fitted: tuple[SubspaceMixture, np.ndarray]) -> None:
    np.random.seed(0)
    torch.manual_seed(0)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    SubspaceMixture(dims=[1, 1], n_init=2).fit(fitted[1]).sample(3)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.get_rng_state(), before[1])


def test_rows_are_not_written_to(planted: Callable) -> None:
    X = planted(0).X.copy()
    X.flags.writeable = False
    before = X.copy()
    model = SubspaceMixture(dims=[1, 1, 2], n_init=2, random_state=0).fit(X)
    model.transform(X)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("n_columns", [5, 20, 80])
def test_float32_rows_fit_as_float64_rows_do(n_columns: int) -> None:
    simulated = data.subspaces([200, 200], dims=[1, 2], n_columns=n_columns, random_state=0)
    X = simulated.X.astype(np.float32)
    model = SubspaceMixture(dims=[1, 2], n_init=2, random_state=0)
    single, double = clone(model).fit(X), clone(model).fit(X.astype(np.float64))
    rows = double.score_samples(X.astype(np.float64))
    assert np.abs(double.set_params(dtype="float32").score_samples(X) - rows).max() < (
        1e-5 * n_columns
    )
    assert single.lower_bound_ == pytest.approx(double.lower_bound_, abs=1e-5 * n_columns)
    np.testing.assert_array_equal(single.predict(X), double.predict(X))


def test_every_container_gives_the_same_fit(fitted: tuple[SubspaceMixture, np.ndarray]) -> None:
    X = fitted[1]
    model = SubspaceMixture(dims=[1, 1, 2], n_init=2, random_state=0)
    expected = clone(model).fit(X)
    columns = [f"g{j}" for j in range(5)]
    for form in (X.tolist(), torch.from_numpy(X), pd.DataFrame(X, columns=columns), X.copy("F")):
        assert_same_bits(expected, clone(model).fit(form))
    named = clone(model).fit(pd.DataFrame(X, columns=columns))
    assert named.feature_names_in_.tolist() == columns
    assert named.get_feature_names_out().tolist() == ["subspacemixture0", "subspacemixture1"]
    with pytest.raises(ValueError, match="feature names should match"):
        named.predict(pd.DataFrame(X, columns=columns[::-1]))
    named.fit(X)
    assert not hasattr(named, "feature_names_in_")


# Weights ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("assignment", ["soft", "hard", "closest"])
@pytest.mark.parametrize("n_columns", [4, 12])
def test_an_integer_weight_is_a_repetition_of_the_row(n_columns: int, assignment: str) -> None:
    rng = np.random.default_rng(0)
    X = data.subspaces([60, 60], dims=[1, 2], n_columns=n_columns, random_state=0).X
    times = rng.integers(0, 4, 120)
    labels = rng.permutation(np.arange(120) % 2)
    model = SubspaceMixture(
        dims=[1, 2], assignment=assignment, init=labels, tol=1e-10, max_iter=1000
    )
    weighted = clone(model).fit(X, sample_weight=times)
    model.set_params(init=np.repeat(labels, times))
    repeated = clone(model).fit(np.repeat(X, times, axis=0))
    assert_close(repeated, weighted, rtol=1e-7)
    np.testing.assert_allclose(
        weighted.objective_trace_[:4], repeated.objective_trace_[:4], rtol=1e-8
    )
    # Only the proportions of the weights count.
    assert_close(clone(model).set_params(init=labels).fit(X, sample_weight=times * 1e-3), weighted)


@pytest.mark.parametrize("n_columns", [4, 80])
def test_rows_of_weight_zero_might_as_well_not_be_there(n_columns: int) -> None:
    X = data.subspaces([80, 80], dims=[1, 2], n_columns=n_columns, random_state=0).X
    outliers = 1e3 * np.random.default_rng(0).normal(size=(20, n_columns))
    labels = np.repeat([0, 1], 80)
    labels[::5] = 1 - labels[::5]
    model = SubspaceMixture(dims=[1, 2], tol=1e-10, max_iter=1000, random_state=0)
    without = clone(model).set_params(init=labels).fit(X)
    given = clone(model).set_params(init=np.r_[labels, np.arange(20) % 2])
    weight = np.r_[np.ones(160), np.zeros(20)]
    with_them = given.fit(np.concatenate([X, outliers]), sample_weight=weight)
    assert_close(without, with_them, rtol=1e-6)
    # Starts are drawn among the rows that count, too.
    drawn = clone(model).fit(np.concatenate([X, outliers]), sample_weight=weight)
    assert np.abs(drawn.means_).max() < np.abs(X).max()
    assert drawn.lower_bound_ == pytest.approx(clone(model).fit(X).lower_bound_, abs=1e-3)
