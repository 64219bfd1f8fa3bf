"""How many factors: by the deviance of rows at places held out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import lowdim as ld
from lowdim import HybridSpatialFactorization, SpatialFactorization, select_factors
from lowdim.factorization._held_out import splits_by_place
from lowdim.factorization.selection import _best
from lowdim.metrics import constant_rates, poisson_deviance

FAST: dict[str, Any] = {"inducing": 100, "n_init": 4, "max_iter": 15, "random_state": 0}
QUILT = ld.data.simulate_spatial("quilt", n_genes=40, random_state=1)


def small(n: int = 90) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    places = rng.uniform(size=(n, 2))
    rate = 0.3 + 6.0 * np.column_stack([places[:, 0] > 0.5, places[:, 1] > 0.5])
    return rng.poisson(np.repeat(rate, 6, axis=1)), places


def test_the_four_factors_of_a_quilt_are_counted() -> None:
    found = select_factors(
        QUILT.layers["counts"],
        QUILT.obsm["spatial"],
        SpatialFactorization(**FAST),
        n_factors=range(2, 7),
        held_out=0.1,
        n_splits=1,
    )
    assert found.n_factors_ == 4
    assert found.n_spatial_ is None
    assert found.rule == "elbow"
    assert _best(found.table, "one_standard_error") == 2
    assert found.table["n_factors"].tolist() == [2, 3, 4, 5, 6]
    assert found.best_estimator_.loadings_.shape == (40, 4)
    assert len(found.best_estimator_.factors_) == QUILT.n_obs
    assert found.table["explained"].between(0, 1).all()
    assert (np.diff(found.table["deviance"])[:2] < 0).all()


def test_the_table_says_what_a_fit_by_hand_does() -> None:
    counts, places = small()
    model = SpatialFactorization(n_init=1, size_factors="mean", random_state=3)
    found = select_factors(counts, places, model, n_factors=[2], held_out=0.2, n_splits=1)
    split = splits_by_place(places, np.zeros(90), 0.2, 1, np.random.default_rng(0))[0]
    held = np.isin(np.arange(90), split.test)
    fit = SpatialFactorization(2, n_init=1, size_factors="mean", random_state=3)
    fit.fit(counts[~held], places[~held])
    totals = np.maximum(counts.sum(1), 1)  # a row without a count has the size of one count
    sizes = totals / totals[~held].mean()
    rows = poisson_deviance(counts[held], fit.predict(places[held], sizes[held]), axis=1) / 12
    assert found.table["deviance"][0] == pytest.approx(rows.mean())
    assert found.table["standard_error"][0] == pytest.approx(rows.std(ddof=1) / np.sqrt(18))
    rates = constant_rates(counts[~held], sizes[~held])
    null = poisson_deviance(counts[held], np.outer(sizes[held], rates))
    assert found.table["explained"][0] == pytest.approx(1 - rows.sum() * 12 / null)
    assert found.criterion == "poisson"
    assert "n_spatial" not in found.table


def test_pairs_of_factors_and_spatial_ones() -> None:
    counts, places = small()
    model = HybridSpatialFactorization(n_init=1, random_state=0)
    found = select_factors(
        counts, places, model, n_factors=[2, 3], n_spatial=[1, 2], n_splits=1, held_out=0.2
    )
    pairs = found.table[["n_factors", "n_spatial"]].to_numpy().tolist()
    assert pairs == [[2, 1], [3, 1], [3, 2]]
    assert found.best_estimator_.n_spatial == found.n_spatial_
    assert found.rule == "one_standard_error"
    assert model.n_factors == 10  # what was given stays
    # one factor cannot be of both kinds
    alone = select_factors(counts, places, model, n_factors=3, n_splits=1, held_out=0.2)
    assert alone.table["n_factors"].tolist() == [2, 3]
    with pytest.raises(ValueError, match="try 2 or more"):
        select_factors(counts, places, model, n_factors=1)


def test_the_seed_decides_and_jobs_do_not() -> None:
    counts, places = small()
    model = SpatialFactorization(n_init=1)
    tables = [
        select_factors(counts, places, model, n_factors=2, random_state=s, n_jobs=j, n_splits=2)
        for s, j in ((1, None), (1, 2), (2, None))
    ]
    pd.testing.assert_frame_equal(tables[0].table, tables[1].table)
    np.testing.assert_array_equal(
        tables[0].best_estimator_.loadings_, tables[1].best_estimator_.loadings_
    )
    assert not np.allclose(tables[0].table["deviance"], tables[2].table["deviance"])


def test_rules_are_what_they_say() -> None:
    table = pd.DataFrame(
        {
            "n_factors": [1, 2, 3, 4, 5],
            "deviance": [5.0, 2.4, 2.1, 2.0, 2.05],
            "standard_error": [0.9, 0.1, 0.1, 0.2, 0.4],
        }
    )
    assert _best(table, "elbow") == 1  # 2.95 (1 - 1/4) - 0.35 is the farthest below the line
    assert _best(table, "one_standard_error") == 2
    assert _best(table, "lowest") == 3
    assert _best(table.assign(standard_error=np.nan), "one_standard_error") == 3
    assert _best(table.assign(deviance=[2.0, 1.9, 2.2, 2.5, 3.0]), "elbow") == 1


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"n_factors": []}, ValueError, "n_factors is empty"),
        ({"n_factors": 0}, ValueError, "n_factors=0"),
        ({"n_factors": [1.5]}, TypeError, "n_factors=1.5"),
        ({"n_spatial": [1]}, ValueError, "n_spatial has no meaning for SpatialFactorization"),
        ({"estimator": HybridSpatialFactorization(), "n_spatial": [9], "n_factors": [2]},
         ValueError, "below one of n_factors"),
        ({"criterion": "bic"}, ValueError, "criterion='bic'"),
        ({"rule": "bend"}, ValueError, "rule='bend'"),
        ({"rule": "elbow", "n_factors": 2}, ValueError, "needs three n_factors"),
        ({"held_out": 1}, ValueError, "held_out=1"),
        ({"n_splits": 0}, ValueError, "n_splits=0"),
        ({"held_out_size_factors": None}, ValueError, "held_out_size_factors=None"),
        ({"coordinates": np.ones((3, 2))}, ValueError, "coordinates has shape"),
        ({"random_state": "x"}, TypeError, "random_state"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(changes: dict, error: type[Exception], message: str) -> None:
    counts, places = small(20)
    arguments = {"X": counts, "coordinates": places, "estimator": SpatialFactorization()}
    with pytest.raises(error, match=message):
        select_factors(**arguments | changes)


def test_unknown_values_are_refused_before_any_fit() -> None:
    counts, places = small()
    counts = counts.astype(float)
    counts[3, 2] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        select_factors(counts, places, SpatialFactorization(), n_factors=[2])
