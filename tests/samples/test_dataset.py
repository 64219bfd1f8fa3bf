"""Samples and their labels, however these come."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from lowdim import SampleDataset

X, CODES = np.arange(24.0).reshape(12, 2), np.repeat([3, 1, 10], 4)


@pytest.mark.parametrize(
    "labels",
    [
        {3: "case", 1: "control", 10: "case"},
        {"10": "case", "3": "case", "1": "control", "gone": "other"},
        pd.Series(["control", "case", "case"], index=[1, 10, 3]),
        np.where(CODES == 1, "control", "case"),
        pd.Categorical(np.where(CODES == 1, "control", "case"), ["case", "control", "none"]),
        pd.Series(np.where(CODES == 1, "control", "case"), index=np.arange(12)[::-1]),
    ],
)
def test_labels_find_their_samples(labels: Any) -> None:
    data = SampleDataset.from_arrays(X, CODES, labels)
    assert data.names.tolist() == ["1", "10", "3"]
    assert data.labels is not None
    assert data.labels.tolist() == ["control", "case", "case"]


def test_samples_of_one_row_may_have_labels_by_name() -> None:
    data = SampleDataset.from_arrays(X[:3], ["b", "c", "a"], {"a": "x", "b": "y", "c": "y"})
    assert data.labels is not None
    assert data.labels.tolist() == ["x", "y", "y"]


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA])
@pytest.mark.parametrize("kind", [dict, pd.Series])
def test_a_label_that_is_missing_is_no_label(nothing: Any, kind: Any) -> None:
    with pytest.raises(ValueError, match="labels has no entry for '10'"):
        SampleDataset.from_arrays(X, CODES, kind({3: "case", 1: "control", 10: nothing}))
    with pytest.raises(ValueError, match="labels has no entry for '10', '3'"):
        SampleDataset.from_arrays(X, CODES, kind({1: "control"}))
