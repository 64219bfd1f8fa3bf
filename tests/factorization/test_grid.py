"""Many configurations: one table, which can be taken up again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_squared_error

from lowdim import HybridSpatialFactorization, SpatialFactorization, compare_factorizations
from lowdim.data.estimator_rows import dense_rows
from lowdim.metrics import nsf_paper_deviance, poisson_deviance, sparsity

RNG = np.random.default_rng(0)
PLACES = RNG.uniform(size=(60, 2))
COUNTS = RNG.poisson(np.repeat(0.3 + 6.0 * (PLACES > 0.5), 5, axis=1))
TRAIN = np.arange(60) % 10 > 0
FAST: dict[str, Any] = {"n_init": 1, "random_state": 0}
LIST = [
    {"model": "nsf", "n_factors": 2, **FAST},
    {"model": "nsf", "n_factors": 2, "length_scale": [0.3, 0.4], **FAST},
    {"model": "nsfh", "n_factors": 2, "n_spatial": 1, **FAST},
]


def test_the_table_says_what_fits_by_hand_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lowdim.factorization._held_out.BLOCK_VALUES", COUNTS.shape[1] * 17)
    n_dense = []

    def counted(source: Any, index: np.ndarray) -> np.ndarray:
        n_dense.append(len(index))
        return dense_rows(source, index)

    monkeypatch.setattr("lowdim.factorization._held_out.dense_rows", counted)
    table = compare_factorizations(COUNTS, PLACES, LIST, train=TRAIN)
    assert max(n_dense) == 17
    assert table["model"].tolist() == ["nsf", "nsf", "nsfh"]
    assert table["n_train"].tolist() == [54] * 3
    models = [
        SpatialFactorization(2, **FAST),
        SpatialFactorization(2, length_scale=[0.3, 0.4], **FAST),
        HybridSpatialFactorization(2, 1, **FAST),
    ]
    for (_, row), model in zip(table.iterrows(), models, strict=True):
        model.fit(COUNTS[TRAIN], PLACES[TRAIN])
        for part, counts, rates in (
            ("train", COUNTS[TRAIN], model.reconstruct()),
            ("held_out", COUNTS[~TRAIN], model.predict(PLACES[~TRAIN])),
        ):
            deviance = poisson_deviance(counts, rates)
            assert row[f"deviance_{part}"] == pytest.approx(deviance / counts.size)
            assert row[f"nsf_paper_{part}"] == pytest.approx(nsf_paper_deviance(counts, rates))
            assert row[f"rmse_{part}"] == pytest.approx(mean_squared_error(counts, rates) ** 0.5)
            null = poisson_deviance(counts, np.ones((len(counts), 1)) * COUNTS[TRAIN].mean(0))
            assert row[f"explained_{part}"] == pytest.approx(1 - deviance / null)
        assert row["bound"] == pytest.approx(model.lower_bound_)
        assert row["n_iter"] == model.n_iter_
        assert row["sparsity"] == sparsity(model.loadings_)
        assert row["n_factors"] == 2
        assert row["cpu_seconds"] > 0
        assert pd.isna(row["error"])


def test_a_list_is_taken_up_where_it_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "new" / "fits.csv"
    compare_factorizations(COUNTS, PLACES, LIST[:1], output, train=TRAIN)
    first = pd.read_csv(output)
    fitted = []
    monkeypatch.setattr(
        SpatialFactorization,
        "fit",
        lambda self, *a, fit=SpatialFactorization.fit: (fitted.append(self), fit(self, *a))[1],
    )
    table = compare_factorizations(COUNTS, PLACES, LIST[:2], output, train=TRAIN)
    assert len(fitted) == 1
    stored = pd.read_csv(output)
    pd.testing.assert_frame_equal(stored[:1][list(first)], first)
    assert len(stored) == len(table) == 2
    assert table["deviance_train"].tolist() == pytest.approx(stored["deviance_train"].tolist())
    compare_factorizations(COUNTS, PLACES, LIST[1:2], output, train=TRAIN)
    assert len(fitted) == 1
    # Other rows to fit are other fits; those in the file stay.
    compare_factorizations(COUNTS, PLACES, LIST[:1], output, train=~TRAIN)
    assert len(fitted) == 2
    assert len(pd.read_csv(output)) == 3
    assert [path.name for path in output.parent.iterdir()] == ["fits.csv"]


def test_lists_stand_for_all_combinations() -> None:
    both = {"model": ["nsf"], "n_factors": [1, 2], "kernel": ["matern32", "rbf"], **FAST}
    table = compare_factorizations(COUNTS, PLACES, both)
    assert sorted(zip(table["n_factors"], table["kernel"], strict=True)) == [
        (1, "matern32"), (1, "rbf"), (2, "matern32"), (2, "rbf"),
    ]  # fmt: skip
    assert table["n_held_out"].tolist() == [3] * 4


def test_estimators_are_configurations_and_get_a_seed() -> None:
    models = [SpatialFactorization(2, n_init=1), SpatialFactorization(2, n_init=1, max_iter=2)]
    tables = [compare_factorizations(COUNTS, PLACES, models, random_state=5) for _ in range(2)]
    assert models[0].random_state is None
    times = ["cpu_seconds", "wall_seconds"]
    pd.testing.assert_frame_equal(tables[0].drop(columns=times), tables[1].drop(columns=times))
    assert tables[0]["converged"].tolist() == [True, False]


def test_a_fit_that_fails_is_told_and_tried_again(tmp_path: Path) -> None:
    bad = {"model": "nsf", "n_factors": -1, **FAST}
    output = tmp_path / "fits.csv"
    for _ in range(2):
        table = compare_factorizations(COUNTS, PLACES, [bad, LIST[0]], output)
        assert "n_factors=-1" in table["error"][0]
        assert np.isnan(table["deviance_train"][0])
        assert table["deviance_train"][1] > 0
        assert len(pd.read_csv(output)) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"configurations": []}, "configurations is empty"),
        ({"configurations": [{"model": "lda"}]}, "'model' one of"),
        ({"configurations": [{"model": "nsf", "factors": 3}]}, r"configurations has \['factors'\]"),
        ({"train": np.ones(60, bool)}, "train must be 60 booleans"),
        ({"train": TRAIN.astype(int)}, "train must be 60 booleans"),
        ({"held_out": 0}, "held_out=0"),
        ({"held_out_size_factors": "total"}, "held_out_size_factors='total'"),
    ],
)
def test_wrong_arguments_are_named(changes: dict, message: str) -> None:
    arguments = {"X": COUNTS, "coordinates": PLACES, "configurations": LIST}
    with pytest.raises(ValueError, match=message):
        compare_factorizations(**arguments | changes)


def test_another_file_is_not_written_over(tmp_path: Path) -> None:
    output = tmp_path / "table.csv"
    output.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="has no columns"):
        compare_factorizations(COUNTS, PLACES, LIST, output)
    assert output.read_text() == "a,b\n1,2\n"
