"""Rows held out: what a fit knows of them, and what is asked about them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator

from lowdim import FactorAnalysis, PoissonNMF, SpatialFactorization
from lowdim.data import as_rows
from lowdim.factorization import _held_out
from lowdim.factorization._held_out import Judged, Split, fit_split, splits_by_place

RNG = np.random.default_rng(0)
PLACES = RNG.uniform(size=(30, 2))
COUNTS = RNG.poisson(4.0, size=(30, 5)) * RNG.integers(1, 5, size=(30, 1))
WHERE = PLACES, np.zeros(30, dtype=np.int64)
SPLIT = Split(np.arange(24), np.arange(24, 30))


class Recorder(BaseEstimator):
    """Expects the column means; keeps what it was given."""

    def __init__(self, size_factors: Any = "mean", random_state: Any = None) -> None:
        self.size_factors = size_factors
        self.random_state = random_state

    def fit(self, X: Any, coordinates: np.ndarray) -> Recorder:
        self.rows_ = X.rows(0, X.n_rows)
        self.places_ = coordinates
        return self

    def reconstruct(self, rows: slice) -> np.ndarray:
        return np.ones((len(range(*rows.indices(self.rows_.shape[0]))), 5))

    def predict(self, coordinates: np.ndarray, size_factors: Any = 1.0) -> np.ndarray:
        return np.outer(np.ones(len(coordinates)) * size_factors, np.arange(1.0, 6.0))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks of the few rows here."""
    monkeypatch.setattr(_held_out, "BLOCK_VALUES", 5 * 7)


def judged(rows: Judged) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, and what the fit and constant rates expect of them."""
    values, expected, constant = (np.concatenate(part) for part in zip(*rows.blocks(), strict=True))
    return values, expected, constant


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("mean", COUNTS[24:].sum(1) / COUNTS[:24].sum(1).mean()),
        ("median", COUNTS[24:].sum(1) / np.median(COUNTS[:24].sum(1))),
        (np.arange(1.0, 31.0), np.arange(25.0, 31.0)),
        (None, np.ones(6)),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
def test_sizes_are_in_the_unit_of_the_fitted_rows(rule: Any, expected: np.ndarray, kind) -> None:
    fit = fit_split(Recorder(rule), as_rows(kind(COUNTS)), WHERE, SPLIT, "own")
    values, found, constant = judged(fit.held_out)
    train_values, _, train_constant = judged(fit.train)
    np.testing.assert_allclose(found[:, 0], expected)
    np.testing.assert_array_equal(fit.model.places_, PLACES[:24])
    np.testing.assert_array_equal(train_values, COUNTS[:24])
    np.testing.assert_array_equal(values, COUNTS[24:])
    if isinstance(rule, np.ndarray):
        np.testing.assert_array_equal(fit.model.size_factors, np.arange(1.0, 25.0))
    # Constant rates have the totals of the columns among the fitted rows, and the same sizes.
    np.testing.assert_allclose(train_constant.sum(0), COUNTS[:24].sum(0))
    ratios = constant / constant[:1]
    np.testing.assert_allclose(ratios[:, 0], expected / expected[0])


def test_one_uses_nothing_of_a_row_held_out() -> None:
    other = COUNTS.copy()
    other[24:] *= 7
    for counts in (COUNTS, other):
        fit = fit_split(Recorder("mean"), as_rows(counts), WHERE, SPLIT, "one")
        _, expected, constant = judged(fit.held_out)
        np.testing.assert_array_equal(expected[:, 0], 1)
        np.testing.assert_allclose(constant[0], constant[1])


def test_a_fit_does_not_depend_on_rows_held_out() -> None:
    model = SpatialFactorization(2, size_factors="mean", n_init=2, random_state=0)
    other = COUNTS.copy()
    other[24:] = RNG.poisson(50.0, size=(6, 5))
    fits = [fit_split(model, as_rows(c), WHERE, SPLIT, "own") for c in (COUNTS, other)]
    np.testing.assert_array_equal(fits[0].model.loadings_, fits[1].model.loadings_)
    alone = model.fit(COUNTS[:24], PLACES[:24])
    np.testing.assert_array_equal(fits[0].model.loadings_, alone.loadings_)
    sizes = COUNTS[24:].sum(1) / COUNTS[:24].sum(1).mean()
    np.testing.assert_allclose(judged(fits[0].held_out)[1], alone.predict(PLACES[24:], sizes))


def test_rows_at_one_place_stay_together() -> None:
    places = np.repeat(PLACES[:10], 3, axis=0)
    splits = splits_by_place(places, WHERE[1], 0.2, 5, np.random.default_rng(0))
    assert len(splits) == 5
    for split in splits:
        assert len(split.test) == 6
        np.testing.assert_array_equal(np.sort(np.r_[split.train, split.test]), np.arange(30))
        assert not set(map(tuple, places[split.train])) & set(map(tuple, places[split.test]))
    assert len({tuple(split.test) for split in splits}) > 1
    with pytest.raises(ValueError, match="one place only"):
        splits_by_place(np.ones((4, 2)), np.zeros(4), 0.5, 1, np.random.default_rng(0))


def test_slides_are_told_to_the_fit_and_its_predictions() -> None:
    names = np.repeat([0, 1], 15)
    split = splits_by_place(PLACES, names, 0.2, 1, np.random.default_rng(0))[0]
    model = SpatialFactorization(2, n_init=1, random_state=0)
    fit = fit_split(model, as_rows(COUNTS), (PLACES, names), split, "own")
    alone = model.fit(COUNTS[split.train], PLACES[split.train], names[split.train])
    expected = alone.predict(PLACES[split.test], samples=names[split.test].astype(str))
    np.testing.assert_allclose(judged(fit.held_out)[1], expected)


def test_models_without_places_expect_their_mean() -> None:
    model = PoissonNMF(2, size_factors="mean", random_state=0)
    fit = fit_split(model, as_rows(COUNTS), WHERE, SPLIT, "own")
    sizes = COUNTS[24:].sum(1) / COUNTS[:24].sum(1).mean()
    np.testing.assert_allclose(judged(fit.held_out)[1], np.outer(sizes, fit.model.mean_row()))
    np.testing.assert_allclose(fit.model.mean_row(), judged(fit.train)[2].mean(0), rtol=0.2)
    values = RNG.normal(size=(30, 5))
    fit = fit_split(FactorAnalysis(2), as_rows(values), WHERE, SPLIT, "own")
    np.testing.assert_allclose(judged(fit.held_out)[1], np.tile(fit.model.intercepts_, (6, 1)))


def test_every_slide_keeps_a_place_and_has_its_share_held_out() -> None:
    codes = np.repeat([0, 1, 2, 3], [20, 3, 2, 1])
    places = np.random.default_rng(0).uniform(size=(26, 2))
    splits = splits_by_place(places, codes, 0.9, 5, np.random.default_rng(0))
    for split in splits:
        np.testing.assert_array_equal(np.bincount(codes[split.test], minlength=4), [18, 2, 1, 0])
        np.testing.assert_array_equal(np.sort(np.r_[split.train, split.test]), np.arange(26))
    assert len({split.test.tobytes() for split in splits}) > 1
