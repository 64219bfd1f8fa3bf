"""Several slides, missing counts, files, checkpoints, and when to stop."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import lowdim as ld
from lowdim import HybridSpatialFactorization, PoissonNMF, SpatialFactorization, _journal
from lowdim.factorization import _engine
from lowdim.factorization._convergence import by_cubic, by_gain

SIDE = 10


def slide(seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts of two factors, which lie elsewhere on every slide, and places."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), -1).reshape(-1, 2) * 10.0
    centres = rng.uniform(20, 80, size=(2, 2))
    factors = 5 * np.exp(-0.002 * ((grid[:, None] - centres) ** 2).sum(2))
    rate = 0.2 + factors @ np.kron(np.eye(2), np.ones((1, 10)))
    return rng.poisson(rate).astype(float), grid + shift, factors


def two_slides() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    first, second = slide(0), slide(1, shift=15.0)
    counts, places, factors = (np.concatenate(pair) for pair in zip(first, second, strict=True))
    return counts, places, factors, np.repeat(["left", "right"], SIDE**2)


def matched(truth: np.ndarray, found: np.ndarray) -> float:
    both = np.abs(np.corrcoef(truth.T, found.T)[:2, 2:])
    return float(max(min(both[0, 0], both[1, 1]), min(both[0, 1], both[1, 0])))


@pytest.mark.parametrize("inducing", ["auto", 60])
def test_slides_share_loadings_and_have_factors_of_their_own(inducing: Any) -> None:
    counts, places, factors, names = two_slides()
    model = SpatialFactorization(2, inducing=inducing, length_scale=30.0, random_state=0)
    model.fit(counts, places, names)
    assert list(model.samples_) == ["left", "right"]
    assert matched(factors[:100], model.factors_[:100]) > 0.95
    assert matched(factors[100:], model.factors_[100:]) > 0.95
    assert np.diff(model.lower_bounds_).min() > -1e-9 * abs(model.lower_bound_)
    mixed = np.random.default_rng(0).permutation(200)
    got = model.predict(places[mixed], samples=names[mixed])
    np.testing.assert_allclose(got, model.predict(places, samples=names)[mixed], rtol=1e-9)
    np.testing.assert_allclose(
        model.predict_log_factors(places, names)[0], model.log_factors_, atol=0.05
    )
    # where slides lie beside each other says nothing
    moved = places + 1e5 * (names == "right")[:, None]
    again = clone(model).fit(counts, moved, names)
    assert again.lower_bound_ == pytest.approx(model.lower_bound_, rel=1e-6)
    if inducing == 60:  # whose places depend on the order of the rows
        return
    other = clone(model).fit(counts[mixed], places[mixed], names[mixed])
    assert other.lower_bound_ == pytest.approx(model.lower_bound_, rel=5e-3)


def test_one_name_is_one_slide() -> None:
    counts, places, _ = slide(0)
    model = SpatialFactorization(2, random_state=0).fit(counts, places)
    named = clone(model).fit(counts, places, ["a"] * 100)
    np.testing.assert_array_equal(named.factors_, model.factors_)


def test_slides_are_as_unrelated_as_separate_fits_with_the_same_loadings() -> None:
    counts, places, _, names = two_slides()
    model = SpatialFactorization(2, length_scale=30.0, random_state=0, tol=1e-8, max_iter=300)
    model.fit(counts, places, names)
    alone = model.transform(counts[:100], places[:100])
    np.testing.assert_allclose(alone, model.factors_[:100], rtol=0.05, atol=0.02)


def test_bad_slides_are_named() -> None:
    counts, places, _, names = two_slides()
    model = SpatialFactorization(2, random_state=0, max_iter=5, tol=1.0)
    with pytest.raises(ValueError, match=r"samples has shape \(3,\), expected \(200,\)"):
        model.fit(counts, places, names[:3])
    with pytest.raises(ValueError, match="samples is missing in row 4"):
        model.fit(counts, places, [None if i == 4 else "a" for i in range(200)])
    with pytest.raises(ValueError, match="samples is missing in row 4"):
        model.fit(counts, places, [pd.NA if i == 4 else "a" for i in range(200)])
    with pytest.raises(ValueError, match="inducing may hold points only where there is one"):
        clone(model).set_params(inducing=places[:9]).fit(counts, places, names)
    model.fit(counts, places, names)
    with pytest.raises(ValueError, match="samples must say which of the 2 fitted slides"):
        model.predict(places)
    with pytest.raises(ValueError, match="samples has 'top', which was not fitted"):
        model.predict(places[:1], samples=["top"])


@pytest.mark.parametrize("likelihood", ["poisson", "negative_binomial"])
def test_missing_counts_say_nothing(likelihood: str) -> None:
    counts, places, factors = slide(0)
    hidden = np.random.default_rng(2).random(counts.shape) < 0.25
    gaps = np.where(hidden, np.nan, counts)
    model = HybridSpatialFactorization(3, 2, likelihood=likelihood, random_state=0)
    model.fit(gaps, places)
    assert matched(factors, model.factors_[:, :2]) > 0.9
    assert np.diff(model.lower_bounds_).min() > -1e-9 * abs(model.lower_bound_)
    rate = 0.2 + factors @ np.kron(np.eye(2), np.ones((1, 10)))
    error = np.abs(model.reconstruct() - rate)[hidden].mean()
    assert error < 0.6 * np.abs(np.nanmean(gaps, 0) - rate)[hidden].mean()


def test_rows_that_are_not_known_are_predicted() -> None:
    """A row without any known count is as if it were absent and asked for by its place."""
    counts, places, _ = slide(0)
    gaps = counts.copy()
    gaps[37] = np.nan
    options: dict[str, Any] = {"length_scale": 30.0, "random_state": 0, "tol": 1e-9}
    absent = SpatialFactorization(2, max_iter=400, **options)
    absent.fit(np.delete(counts, 37, 0), np.delete(places, 37, 0))
    masked = SpatialFactorization(2, max_iter=400, **options).fit(gaps, places)
    there = masked.factors_[37] @ masked.loadings_.T
    np.testing.assert_allclose(there, absent.predict(places[37:38])[0], rtol=0.15, atol=0.05)


def models() -> list[Any]:
    names = np.repeat(["a", "b"], 50)
    return [
        (SpatialFactorization(2, random_state=0), None),
        (HybridSpatialFactorization(3, 1, likelihood="negative_binomial", inducing=30), names),
        (SpatialFactorization(2, nonnegative=False, length_scale="learned", max_iter=30), None),
        (SpatialFactorization(2, nonnegative=False, likelihood="gaussian"), names),
    ]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("case", range(4))
def test_files_give_back_the_model(case: int, tmp_path: Path) -> None:
    counts, places, _ = slide(0)
    model, names = models()[case]
    model.set_params(random_state=0).fit(counts, places, names)
    model.save(tmp_path / "model.h5")
    again = ld.load(tmp_path / "model.h5")
    assert again.get_params() == model.get_params()
    for name in ("factors_", "loadings_", "length_scales_", "lower_bounds_", "samples_"):
        np.testing.assert_array_equal(getattr(again, name), getattr(model, name))
    where = None if names is None else names[:4]
    np.testing.assert_allclose(
        again.predict(places[:4] + 1.0, samples=where),
        model.predict(places[:4] + 1.0, samples=where),
        rtol=1e-10,
    )
    np.testing.assert_allclose(
        again.transform(counts[:20], places[:20]), model.transform(counts[:20], places[:20])
    )


def test_nonspatial_models_are_kept_in_files(tmp_path: Path) -> None:
    counts, _, _ = slide(0)
    model = PoissonNMF(2, random_state=0).fit(counts)
    model.save(tmp_path / "model.h5")
    again = ld.load(tmp_path / "model.h5")
    np.testing.assert_array_equal(again.transform(counts), model.transform(counts))


@pytest.mark.parametrize("case", range(4))
def test_a_fit_that_was_cut_off_goes_on(
    case: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, places, _ = slide(0)
    model, names = models()[case]
    model.set_params(random_state=0, tol=0.0, max_iter=14)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        whole = clone(model).fit(counts, places, names)
        model.set_params(checkpoint=tmp_path / "fit.h5")
        monkeypatch.setattr(_journal, "EVERY", 4)
        rounds, do = [], _engine.round_of

        def dies(*args: Any) -> Any:
            rounds.append(1)
            if len(rounds) == 11:
                raise KeyboardInterrupt
            return do(*args)

        with monkeypatch.context() as patched:
            patched.setattr(_engine, "round_of", dies)
            with pytest.raises(KeyboardInterrupt):
                clone(model).fit(counts, places, names)
        resumed = clone(model).fit(counts, places, names)
    np.testing.assert_array_equal(resumed.lower_bounds_, whole.lower_bounds_)
    np.testing.assert_array_equal(resumed.factors_, whole.factors_)
    np.testing.assert_array_equal(resumed.loadings_, whole.loadings_)


@pytest.mark.parametrize(
    "options",
    [
        {"polish": 4},
        {"nonnegative": False, "likelihood": "gaussian", "length_scale": "learned"},
    ],
    ids=str,
)
def test_a_fit_from_a_file_draws_and_chooses_as_the_whole_one(
    options: dict[str, Any], tmp_path: Path
) -> None:
    counts, places, _ = slide(0)
    model = SpatialFactorization(2, random_state=0, max_iter=10, tol=0.0, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        whole = clone(model).fit(counts, places)
        model.set_params(checkpoint=tmp_path / "fit.h5").fit(counts, places)  # writes it
        again = clone(model).fit(counts, places)
    np.testing.assert_array_equal(again.factors_, whole.factors_)
    whole.save(tmp_path / "model.h5")
    loaded = ld.load(tmp_path / "model.h5")
    for name in ("factors_", "loadings_", "length_scales_"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(whole, name))
    # The last bits of LAPACK's sums go by where arrays lie in memory.
    np.testing.assert_allclose(loaded.predict(places), whole.predict(places), rtol=1e-9)


@pytest.mark.parametrize("length_scale", ["auto", "learned"])
def test_a_slide_of_one_place_has_no_say_in_units(length_scale: str) -> None:
    counts, places, _ = slide(0)
    names = ["a"] * 99 + ["b"]
    model = SpatialFactorization(2, length_scale=length_scale, random_state=0, max_iter=8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        one = clone(model).fit(counts, places, names)
        other = clone(model).fit(counts, 1e3 * places, names)
        alone = clone(model).fit(counts, np.ones((100, 2)))
    np.testing.assert_allclose(other.length_scales_, 1e3 * one.length_scales_)
    assert other.lower_bound_ == pytest.approx(one.lower_bound_, rel=1e-8)
    assert np.isfinite(alone.lower_bound_)


def test_a_fit_that_ran_out_of_rounds_goes_on_with_more(tmp_path: Path) -> None:
    counts, places, _ = slide(0)
    model = SpatialFactorization(2, random_state=0, tol=0.0, checkpoint=tmp_path / "fit.h5")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clone(model).set_params(max_iter=5).fit(counts, places)
        more = clone(model).set_params(max_iter=10).fit(counts, places)
        whole = clone(model).set_params(max_iter=10, checkpoint=None).fit(counts, places)
    np.testing.assert_array_equal(more.lower_bounds_, whole.lower_bounds_)


def test_checkpoints_of_other_fits_are_refused(tmp_path: Path) -> None:
    counts, places, _ = slide(0)
    model = SpatialFactorization(2, random_state=0, checkpoint=tmp_path / "fit.h5")
    first = model.fit(counts, places).factors_
    np.testing.assert_array_equal(clone(model).fit(counts, places).factors_, first)
    with pytest.raises(ValueError, match="is of other data or settings"):
        model.fit(counts + 1, places)
    with pytest.raises(ValueError, match="is of other data or settings"):
        clone(model).set_params(n_factors=3).fit(counts, places)
    (tmp_path / "fit.h5").write_text("something else")
    with pytest.raises(ValueError, match="not a lowdim model file"):
        model.fit(counts, places)


def test_both_ways_to_stop() -> None:
    curve = list(-np.exp(-0.5 * np.arange(60.0)))
    for check, tol in ((by_gain, 1e-6), (by_cubic, 1e-6)):
        settled = check(tol)
        stops = [settled(curve[:i]) for i in range(len(curve) + 1)]
        assert not any(stops[:15])
        assert all(stops[-10:])
    counts, places, _ = slide(0)
    model = SpatialFactorization(2, random_state=0, stopping="cubic", tol=1e-5).fit(counts, places)
    assert model.converged_
    assert model.n_iter_ >= 13


def test_the_gap_of_jensens_inequality_is_small_and_polish_does_not_widen_it() -> None:
    counts, places, _ = slide(0)
    model = SpatialFactorization(2, random_state=0, tol=1e-7).fit(counts, places)
    value, error = model.monte_carlo_bound(counts, 400, random_state=0)
    assert model.lower_bound_ < value + 3 * error
    assert value - model.lower_bound_ < 0.5
    polished = clone(model).set_params(polish=16).fit(counts, places)
    better, other = polished.monte_carlo_bound(counts, 400, random_state=0)
    assert better > value - 3 * (error + other)
    assert polished.lower_bound_ <= model.lower_bound_ + 1e-4
    with pytest.raises(ValueError, match="X has 3 rows, and 100 were fitted"):
        model.monte_carlo_bound(counts[:3])
