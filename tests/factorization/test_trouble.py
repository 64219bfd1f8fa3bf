"""Rounding that makes covariances indefinite, and steps that are refused, are told."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone

import lowdim as ld
from lowdim import PoissonNMF, SpatialFactorization
from lowdim.factorization import _engine
from lowdim.kernels import KERNELS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def pairs() -> tuple[np.ndarray, np.ndarray]:
    """Large counts at places that almost coincide, two by two."""
    rng = np.random.default_rng(0)
    places = np.repeat(rng.uniform(0, 100, (30, 2)), 2, axis=0)
    places[1::2] += 1e-7
    factors = np.exp(2 * np.sin(places / 15))
    return rng.poisson(1e4 * factors @ rng.gamma(1, 1, (2, 10))).astype(float), places


def rough(**options: Any) -> SpatialFactorization:
    """A model with next to no nugget."""
    options = {"kernel": "matern12", "length_scale": 0.01, "nugget": 1e-12, **options}
    return SpatialFactorization(2, max_iter=6, random_state=0, **options)


def test_growth_beyond_the_usual_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, places = pairs()
    # Covariances with five digits are not quite positive definite.
    monkeypatch.setitem(KERNELS, "rbf", lambda far: torch.exp(-far * far / 2).round(decimals=5))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model = rough(length_scale=50.0, kernel="rbf").fit(counts, places)
    told = [own for own in told if "jitter_" in str(own.message)]
    assert len(told) == 1
    assert "larger nugget" in str(told[0].message)
    assert 1e-6 < model.jitter_ <= 1e-3
    model.save(tmp_path / "model.h5")
    assert ld.load(tmp_path / "model.h5").jitter_ == model.jitter_


@pytest.mark.parametrize(
    ("options", "jitter"),
    [({"nugget": 1e-3}, 0.0), ({"inducing": 20}, 1e-6), ({"inducing": "hilbert"}, 0.0)],
    ids=str,
)
def test_nothing_is_told_where_nothing_grew(options: dict[str, Any], jitter: float) -> None:
    counts, places = pairs()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model = rough(**options).fit(counts, places)
    assert model.jitter_ == jitter


def test_places_that_coincide_and_a_huge_length_scale_are_no_trouble() -> None:
    counts, places = pairs()
    model = SpatialFactorization(2, length_scale=1e6, nugget=1e-12, max_iter=6, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model.fit(counts[:40], np.repeat(places[:40:2], 2, axis=0))
    assert model.jitter_ == 1e-6  # of the places that differ
    assert np.isfinite(model.factors_).all()


def test_refused_steps_are_counted_and_told_where_the_bound_had_not_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, places = pairs()
    counts = np.minimum(counts, 50)
    model = SpatialFactorization(2, random_state=0, max_iter=9, tol=0.0)
    plain = clone(model).fit(counts, places)
    assert plain.n_refused_ <= 9 - _engine.WARM_UP
    do = _engine.stepped
    monkeypatch.setattr(_engine, "stepped", lambda model, state, which, length: state)
    with pytest.warns(RuntimeWarning, match="Every step of the factors was refused"):
        stuck = clone(model).fit(counts, places)
    assert stuck.n_refused_ == 9 - _engine.WARM_UP  # counts have one block of factors
    with pytest.warns(RuntimeWarning, match="had not settled .n_refused_..$"):
        assert not hasattr(PoissonNMF(2, max_iter=9, tol=0.0).fit(counts), "jitter_")
    stuck.save(tmp_path / "model.h5")
    assert ld.load(tmp_path / "model.h5").n_refused_ == stuck.n_refused_
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        settled = clone(model).set_params(tol=1.0).fit(counts, places)  # refused, but settled
        assert settled.converged_
        calls = []

        def late(*args: Any) -> Any:
            calls.append(1)
            return args[1] if len(calls) < 9 else do(*args)

        monkeypatch.setattr(_engine, "stepped", late)
        assert clone(model).fit(counts, places).n_refused_ == 8 - _engine.WARM_UP


def test_a_warning_is_not_lost_in_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, places = pairs()
    model = SpatialFactorization(
        2, random_state=0, max_iter=10, tol=0.0, checkpoint=tmp_path / "fit.h5"
    )
    monkeypatch.setattr(_engine, "stepped", lambda model, state, which, length: state)
    for _ in range(2):  # the second goes on from the file, where no round is left
        with pytest.warns(RuntimeWarning, match="Every step"):
            found = clone(model).fit(np.minimum(counts, 50), places)
        assert found.n_refused_ == 10 - _engine.WARM_UP
