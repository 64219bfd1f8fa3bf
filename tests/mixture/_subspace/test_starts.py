"""Fits that begin at given components."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

import lowdim
from lowdim import SubspaceMixture, data

pytestmark = pytest.mark.filterwarnings("ignore:.*did not converge")


@pytest.mark.parametrize("n_columns", [6, 90])
def test_a_fit_goes_on_where_another_ended(n_columns: int) -> None:
    """From an optimum, the first objective is that of the optimum, whatever the order."""
    X = data.subspaces(500, dims=[2, 1, 0], n_columns=n_columns, random_state=0).X
    whole = SubspaceMixture(dims=[2, 1, 0], tol=1e-9, random_state=0).fit(X)
    for order in ([0, 1, 2], [2, 0, 1]):
        start = [whole.components()[k] for k in order]
        again = SubspaceMixture(dims=[2, 1, 0], init=start, max_iter=1, random_state=1).fit(X)
        assert again.objective_trace_[0] == pytest.approx(whole.score(X), abs=1e-9)
        assert again.restart_objectives_.shape == (1,)
        np.testing.assert_allclose(again.means_, whole.means_, atol=1e-3)
        assert again.dims_.tolist() == [2, 1, 0]


def test_two_halves_make_a_whole(planted: Callable) -> None:
    X = planted(0).X
    options = {"dims": [1, 1, 2], "tol": 0.0}
    start = SubspaceMixture(n_init=1, init="points", random_state=0, max_iter=1, **options).fit(X)
    rest = SubspaceMixture(init=start.components(), max_iter=2, **options).fit(X)
    whole = SubspaceMixture(n_init=1, init="points", random_state=0, max_iter=3, **options).fit(X)
    np.testing.assert_allclose(rest.objective_trace_, whole.objective_trace_[-3:], rtol=1e-9)


@pytest.mark.parametrize("n_columns", [5, 80])
def test_weights_leave_room_for_held_components(n_columns: int) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, n_columns)) + 6 * (np.arange(400) % 4 == 0)[:, None]
    options = {"dims": 0, "fixed": {"mean": np.zeros(n_columns)}, "random_state": 0}
    whole = SubspaceMixture(tol=1e-9, **options).fit(X)
    assert [c["weight"] for c in whole.components()] == pytest.approx([0.25], abs=0.01)
    again = SubspaceMixture(init=whole.components(), max_iter=1, **options).fit(X)
    np.testing.assert_allclose(again.weights_, whole.weights_, atol=1e-4)
    full = SubspaceMixture(init=[{**whole.components()[0], "weight": 1.0}], **options).fit(X)
    np.testing.assert_allclose(full.weights_, whole.weights_, atol=1e-3)


def test_a_start_survives_clone_and_file(planted: Callable, tmp_path: Path) -> None:
    X = planted(0).X
    first = SubspaceMixture(dims=[1, 1, 2], n_init=3, random_state=0).fit(X)
    model = SubspaceMixture(dims=[1, 1, 2], init=first.components()).fit(X)
    np.testing.assert_array_equal(clone(model).fit(X).means_, model.means_)
    model.save(tmp_path / "model.h5")
    np.testing.assert_array_equal(lowdim.load(tmp_path / "model.h5").fit(X).means_, model.means_)
    small = clone(model).set_params(minibatch_size=100).fit(X)
    assert small.score(X) == pytest.approx(first.score(X), abs=1e-4)


def test_a_start_below_the_floor_is_raised_to_it(planted: Callable) -> None:
    X = planted(0).X
    start = [{"mean": X[0], "noise_variance": 1e-300}, {"mean": X[1], "noise_variance": 1.0}]
    model = SubspaceMixture(dims=[0, 0], init=start).fit(X)
    assert np.isfinite(model.lower_bound_)
