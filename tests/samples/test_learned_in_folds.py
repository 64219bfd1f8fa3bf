"""What cross-validation of a ground metric cannot do is said before any work; labels go by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from lowdim import GroundMetric, SampleDataset
from lowdim.samples import axis_separation, cross_validate_samples, permutation_test
from lowdim.transport import Mixtures

pytestmark = pytest.mark.filterwarnings("ignore:The loss was still falling")


def mixtures(S: int) -> Mixtures:
    rng = np.random.default_rng(0)
    return Mixtures.of(np.ones((S, 1)), rng.normal(size=(S, 1, 3)), np.ones((S, 1, 3)))


def dataset(S: int = 8) -> SampleDataset:
    """Rows of samples "p0", "p1", ... in no order; odd ones are cases."""
    rng = np.random.default_rng(0)
    codes = rng.permutation(np.repeat(np.arange(S), 12))
    X = rng.normal(size=(len(codes), 3)) + 2.0 * (codes % 2)[:, None] * [1, 0, 0]
    kinds = np.where(codes % 2, "case", "control")
    return SampleDataset.from_arrays(X, [f"p{code}" for code in codes], kinds)


def metric(**options: Any) -> GroundMetric:
    return GroundMetric(1, **{"max_iter": 2, "n_init": 1, "random_state": 0, **options})


@pytest.mark.parametrize(
    ("labels", "options", "said"),
    [
        ("aabb", {"n_splits": 2}, "n_splits=2 .* 1 sample for each of 'a', 'b'.* larger n_splits"),
        (
            "aaabbb",
            {"n_splits": 3, "grid": {"alpha": [1.0, 2.0]}},
            "n_inner=3 for the grid .* 1 sample for each of 'a', 'b'.* no grid, or larger n_splits",
        ),
        (
            "aabb",
            {"groups": ["x", "y", "x", "y"]},
            "group 'x' held out .* 1 sample for each of 'a', 'b'.*, or pass no groups",
        ),
        (
            "aaaabb",
            {"n_splits": 2, "metric": metric(validation_fraction=0.5)},
            "n_splits=2 .* single sample of 'b', and validation_fraction=0.5 needs two",
        ),
        ("aaaabbbb", {"grid": {"n_cells": [50, 100]}}, "grid has 'n_cells', but cells are drawn"),
        ("aaaabbbb", {"grid": {"cost": ["mixed", "w1"]}}, "grid has cost='w1', which is of points"),
    ],
)
@pytest.mark.parametrize("judge", [cross_validate_samples, permutation_test])
def test_it_is_said_before_any_fit(
    judge: Any, labels: str, options: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(self: GroundMetric, *_: Any) -> GroundMetric:
        raise AssertionError("a fit was begun")

    monkeypatch.setattr(GroundMetric, "fit", fit)
    with pytest.raises(ValueError, match=said):
        judge(mixtures(len(labels)), list(labels), **{"metric": metric(), **options})


def test_three_samples_of_a_class_are_enough_for_a_grid() -> None:
    grid = {"alpha": [1.0, 5.0]}
    found = cross_validate_samples(
        mixtures(12), list("ab" * 6), metric(), grid=grid, n_splits=2, n_inner=3, random_state=0
    )
    assert set(found.table["alpha"]) <= {1.0, 5.0}


def test_shares_of_samples_for_validation_that_cannot_be() -> None:
    with pytest.raises(ValueError, match=r"single sample of .b., and validation_fraction=0\.5"):
        metric(validation_fraction=0.5).fit(mixtures(5), list("aaaab"))
    with pytest.raises(ValueError, match=r"validation_fraction=0\.1 holds out 1 of 8 samples"):
        metric(validation_fraction=0.1).fit(mixtures(8), list("abababab"))


def test_labels_go_by_the_names_of_samples() -> None:
    data = dataset()
    model = metric().fit(data)
    by_name = pd.Series(data.labels, data.names)
    for labels in (by_name, by_name[::-1], dict(by_name[::-1]), by_name[::-1].astype("category")):
        np.testing.assert_array_equal(metric().fit(data, labels).components_, model.components_)
    more = pd.concat([pd.Series({"p99": "else"}), by_name[::-1]])  # other samples do no harm
    assert metric().fit(data, more).classes_.tolist() == ["case", "control"]
    # As they come: arrays, and a Series whose index nobody gave.
    for labels in (data.labels, list(data.labels), pd.Series(data.labels)):
        np.testing.assert_array_equal(metric().fit(data, labels).components_, model.components_)
    # Mixtures have no names.
    np.testing.assert_array_equal(
        metric().fit(data.clouds(250), by_name).components_, model.components_
    )


def test_labels_without_all_names_are_refused() -> None:
    data = dataset()
    by_name = pd.Series(data.labels, data.names)
    with pytest.raises(ValueError, match="labels has no entry for 'p3'; index it by the names"):
        metric().fit(data, by_name.drop("p3"))
    with pytest.raises(ValueError, match="no entry for 'p0', 'p1', 'p2', 'p3', 'p4' and 3 more"):
        metric().fit(data, by_name.set_axis(list("abcdefgh")))
    with pytest.raises(ValueError, match="labels has several entries for 'p2'"):
        metric().fit(data, pd.concat([by_name, by_name[["p2"]]]))
    with pytest.raises(ValueError, match="labels are missing for 'p2'"):
        metric().fit(data, by_name.where(by_name.index != "p2"))


def test_cross_validation_goes_by_the_names_too() -> None:
    data = dataset()
    labels = pd.Series(data.labels, data.names)
    groups = pd.Series(np.repeat(["x", "y", "z", "w"], 2), data.names)
    plain = cross_validate_samples(data, None, metric(), groups=groups.to_numpy(), random_state=0)
    named = cross_validate_samples(
        data, labels[::-1], metric(), groups=groups[::-1], random_state=0
    )
    pd.testing.assert_frame_equal(plain.predictions, named.predictions)
    D = metric().fit(data).distances(data)
    table = pd.DataFrame(D, data.names, data.names)
    of_table = cross_validate_samples(table, labels[::-1], n_splits=2, random_state=0).predictions
    of_array = cross_validate_samples(D, data.labels, n_splits=2, random_state=0).predictions
    assert set(of_table["sample"]) == set(data.names)
    pd.testing.assert_frame_equal(of_table.drop(columns="sample"), of_array.drop(columns="sample"))
    pd.testing.assert_frame_equal(axis_separation(data, labels[::-1]), axis_separation(data))
