"""partial_fit: close to the batch optimum, exact where it can be, and bounded in memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

import lowdim
from lowdim import SubspaceMixture, data
from lowdim.mixture._subspace.online import blend, reweighted, step_size


@pytest.mark.parametrize(
    ("n_columns", "assignment"), [(5, "soft"), (20, "hard"), (80, "soft"), (5, "closest")]
)
def test_pieces_come_close_to_the_batch_optimum(n_columns: int, assignment: str) -> None:
    simulated = data.subspaces(
        [2000, 2000, 2000], dims=[1, 1, 2], n_columns=n_columns, noise=0.3, random_state=0
    )
    order = np.random.default_rng(0).permutation(6000)
    X = simulated.X[order]
    batch = SubspaceMixture(dims=[1, 1, 2], assignment=assignment, random_state=0).fit(X)
    online = SubspaceMixture(dims=[1, 1, 2], assignment=assignment, random_state=0)
    first = None
    for piece in np.split(X, 20):
        online.partial_fit(piece)
        first = online.score(X) if first is None else first
    shortfall = batch.score(X) - online.score(X)
    # What the decaying weights of early pieces cost: a fit to fewer rows.
    assert shortfall < 1e-3 + batch.n_parameters() / len(X)
    assert shortfall < (batch.score(X) - first) / 2  # later pieces were learned from
    agreement = adjusted_rand_score(online.predict(X), batch.predict(X))
    assert agreement > 0.98 or assignment == "closest"
    assert online.n_features_in_ == n_columns


def test_repeating_the_same_piece_is_em(planted: Callable) -> None:
    """The statistics of one piece blend with themselves, so each call is an EM step."""
    X = planted(0).X
    batch = SubspaceMixture(dims=[1, 1, 2], tol=1e-10, random_state=0).fit(X)
    online = SubspaceMixture(dims=[1, 1, 2], tol=1e-10, random_state=0)
    for _ in range(3):
        online.partial_fit(X)
    assert online.score(X) == pytest.approx(batch.score(X), abs=1e-6)
    np.testing.assert_allclose(online.weights_.sum(), 1)


def test_weights_count_in_pieces_too(planted: Callable) -> None:
    X = planted(0).X
    rng = np.random.default_rng(0)
    model = SubspaceMixture(dims=[1, 1, 2], random_state=0)
    outliers = 50 * rng.normal(size=(60, 5))
    plain = model.partial_fit(X).partial_fit(X).means_
    weight = np.r_[np.ones(600), np.zeros(60)]
    other = SubspaceMixture(dims=[1, 1, 2], random_state=0).partial_fit(X)
    other.partial_fit(np.concatenate([X, outliers]), sample_weight=weight)
    np.testing.assert_allclose(other.means_, plain, atol=1e-9)


@pytest.mark.parametrize("how", ["fit", "load"])
def test_a_finished_model_can_be_updated(how: str, planted: Callable, tmp_path: Path) -> None:
    X = planted(0).X
    model = SubspaceMixture(dims=[1, 1, 2], random_state=0).fit(X)
    if how == "load":
        model.save(tmp_path / "model.h5")
        model = lowdim.load(tmp_path / "model.h5")
    before = model.score(X)
    model.partial_fit(X[::2]).partial_fit(X[1::2])
    assert model.score(X) == pytest.approx(before, abs=0.02)


def test_updating_a_finished_model_forms_no_large_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    from lowdim.data import blocks

    def refuse(*_: object) -> None:
        raise AssertionError("D x D")

    for block in (blocks.DenseBlock, blocks.SparseBlock):
        monkeypatch.setattr(block, "second_moments", refuse)
    X = np.random.default_rng(0).normal(size=(100, 200))
    model = SubspaceMixture(dims=[1, 1], n_init=2, random_state=0).fit(X)
    model.partial_fit(X)
    assert np.isfinite(model.score(X))


def test_columns_must_stay_the_same(planted: Callable) -> None:
    X = planted(0).X
    model = SubspaceMixture(dims=[1, 1], random_state=0).partial_fit(X)
    with pytest.raises(ValueError, match="X has 4 features, but SubspaceMixture is expecting 5"):
        model.partial_fit(X[:, :4])


def test_fit_after_pieces_forgets_them(planted: Callable) -> None:
    X = planted(0).X
    model = SubspaceMixture(dims=[1, 1, 2], n_init=3, random_state=0)
    expected = model.fit(X).means_
    model.partial_fit(X[:100]).partial_fit(X[100:200])
    np.testing.assert_array_equal(model.fit(X).means_, expected)


@pytest.mark.parametrize("n_columns", [4, 80])
def test_given_components_stay_over_pieces(n_columns: int) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, n_columns)) + 4 * (np.arange(300) % 2)[:, None]
    mean = np.zeros(n_columns)
    model = SubspaceMixture(dims=0, fixed={"mean": mean}, n_init=2, random_state=0)
    for piece in np.split(X, 5):
        model.partial_fit(piece)
    np.testing.assert_allclose(model.means_[1], mean, atol=1e-9)
    assert model.weights_[1] == pytest.approx(0.5, abs=0.05)
    assert model.noise_variances_[1] == pytest.approx(1, rel=0.2)


@pytest.mark.parametrize("n_columns", [6, 80])
def test_a_given_flat_learns_its_variances_over_pieces(n_columns: int) -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(600, n_columns))
    X[::2, :2] *= [5.0, 3.0]  # on the flat
    X[1::2] += 6.0
    flat = {"mean": np.zeros(n_columns), "basis": np.eye(n_columns)[:2]}
    model = SubspaceMixture(dims=1, fixed=flat, n_init=2, random_state=0)
    for piece in np.split(X, 4):
        model.partial_fit(piece)
    np.testing.assert_allclose(model.bases_[1], np.eye(n_columns)[:2], atol=1e-9)
    np.testing.assert_allclose(model.latent_variances_[1], [25, 9], rtol=0.3)
    assert model.noise_variances_[1] == pytest.approx(1, rel=0.2)
    assert model.weights_[1] == pytest.approx(0.5, abs=0.05)


def test_steps_decay_and_blend_linearly() -> None:
    steps = [step_size(t) for t in range(50)]
    assert steps[0] == 1
    assert all(a > b > 0 for a, b in itertools.pairwise(steps))
    assert sum(steps) > 5  # slow enough to forget the start
    past = {"counts": torch.tensor([[1.0, 3.0]]), "squares": torch.tensor([[1.0, 3.0]])}
    piece = {"counts": torch.tensor([[4.0, 4.0]]), "squares": torch.tensor([[2.0, 2.0]])}
    assert reweighted(piece, 0.5)["counts"].tolist() == [[2.0, 2.0]]
    assert blend(past, piece, 0.25)["counts"].tolist() == [[1.75, 3.25]]
    assert past["counts"].tolist() == [[1.0, 3.0]]
    # Weights were multiplied by 0.75 and 0.25: so the sums of their squares by the squares.
    assert blend(past, piece, 0.25)["squares"].tolist() == [[0.6875, 1.8125]]


def test_a_blend_knows_how_many_rows_it_is_worth() -> None:
    """Of equal rows in equal shares, and less where steps favour late ones."""
    rows = {"counts": torch.full((1, 1), 10.0), "squares": torch.full((1, 1), 10.0)}
    piece = past = reweighted(rows, 1 / 10)
    for t in range(1, 20):
        past = blend(past, piece, 1 / (t + 1))
    assert float(past["counts"] ** 2 / past["squares"]) == pytest.approx(200)
    for t in range(1, 20):
        past = blend(past, piece, step_size(t))
    assert 20 < float(past["counts"] ** 2 / past["squares"]) < 200
