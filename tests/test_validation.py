"""Checks of inputs: the right things pass, and errors say what to do."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

import lowdim
from lowdim._validation import (
    check_in,
    check_interval,
    check_matrix,
    check_positive_int,
    check_sample_weight,
    check_source,
    values,
)
from lowdim.data import as_rows

CONTAINERS = [np.asarray, sp.csr_matrix, sp.csc_array]
COUNTS = np.array([[0.0, 1.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0], [3.0, 4.0, 5.0]])


@pytest.fixture(autouse=True, params=[2**25, 48], ids=["one block", "two rows a block"])
def scan_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a row lies must not depend on the blocks."""
    monkeypatch.setattr(values, "_SCAN_BYTES", request.param)


def changed(row: int, column: int, value: float) -> np.ndarray:
    X = COUNTS.copy()
    X[row, column] = value
    return X


# ---------------------------------------------------------------------------- values of a source


@pytest.mark.parametrize("container", CONTAINERS)
def test_counts_pass_every_check(container: type) -> None:
    check_source(as_rows(container(COUNTS)), min_rows=4, nonnegative=True, integer=True)


@pytest.mark.parametrize("container", CONTAINERS)
def test_values_are_not_restricted_unless_asked(container: type) -> None:
    check_source(as_rows(container(changed(0, 0, -1.5))))
    check_source(as_rows(container(changed(0, 0, 1.5))), nonnegative=True)
    check_source(as_rows(container(changed(0, 0, -1))), integer=True)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_missing_and_infinite_values_are_counted_and_placed(container: type, dtype: type) -> None:
    X = changed(3, 1, np.nan)
    X[2, 0] = np.nan
    with pytest.raises(
        ValueError, match=r"(?s)Input X contains NaN\..*2 such values.*row 2.*impute"
    ):
        check_source(as_rows(container(X.astype(dtype))))
    for value in (np.inf, -np.inf):
        X = changed(3, 2, value).astype(dtype)
        with pytest.raises(ValueError, match=r"(?s)contains infinity or a value too large.*row 3"):
            check_source(as_rows(container(X)))
    both = changed(0, 0, np.inf)
    both[1, 1] = -np.inf
    with pytest.raises(ValueError, match="2 such values, first inf in row 0"):
        check_source(as_rows(container(both)))


def test_finite_values_whose_sum_overflows_pass() -> None:
    check_source(as_rows(np.full((4, 3), np.finfo(np.float32).max, dtype=np.float32)))


@pytest.mark.parametrize("container", CONTAINERS)
def test_what_is_not_a_count_is_refused_with_a_remedy(container: type) -> None:
    with pytest.raises(ValueError, match=r"Negative values in data.*-2 in row 3.*layer='counts'"):
        check_source(as_rows(container(changed(3, 0, -2))), nonnegative=True, integer=True)
    with pytest.raises(ValueError, match=r"1\.5 in row 1; it looks normalised.*layer='counts'"):
        check_source(as_rows(container(changed(1, 0, 1.5))), nonnegative=True, integer=True)
    with pytest.raises(ValueError, match=r"must hold nonnegative values.*centred or scaled"):
        check_source(as_rows(container(changed(3, 0, -2))), nonnegative=True)
    with pytest.raises(ValueError, match="must hold integers"):
        check_source(as_rows(container(changed(3, 0, 0.5))), integer=True)


def test_too_few_rows_and_no_columns_are_refused() -> None:
    expected = r"Found array with 4 sample\(s\) \(shape=\(4, 3\)\) while a minimum of 5 is required"
    with pytest.raises(ValueError, match=expected):
        check_source(as_rows(COUNTS), min_rows=5)
    hollow = SimpleNamespace(n_rows=3, n_cols=0, rows=lambda start, stop: np.zeros((3, 0)))
    with pytest.raises(ValueError, match=r"Found array with 0 feature\(s\) \(shape=\(3, 0\)\)"):
        check_source(hollow)


def test_the_name_of_the_argument_is_used() -> None:
    with pytest.raises(ValueError, match="Input queries contains NaN"):
        check_source(as_rows(changed(0, 0, np.nan)), name="queries")


def test_arrays_must_become_sources_first() -> None:
    with pytest.raises(TypeError, match=r"ndarray, not a row source.*as_rows"):
        check_source(COUNTS)  # type: ignore[arg-type]


@given(
    rows=st.lists(st.integers(0, 6), min_size=1, max_size=7),
    bad=st.sampled_from([np.nan, np.inf, -1.0, 0.5]),
    container=st.sampled_from(CONTAINERS),
)
def test_the_first_row_and_the_number_are_right(
    rows: list[int], bad: float, container: type
) -> None:
    X = np.ones((7, 3))
    X[rows, 1] = bad
    found = rf"{len(set(rows))} such values?, first .* in row {min(rows)}\b"
    with pytest.raises(ValueError, match=found):
        check_source(as_rows(container(X)), nonnegative=True, integer=True)


def test_a_matrix_is_returned_as_it_is() -> None:
    assert np.shares_memory(check_matrix(COUNTS), COUNTS)
    assert check_matrix(COUNTS.astype(np.int8)).dtype == np.int8
    assert check_matrix(pd.DataFrame(COUNTS)).shape == (4, 3)
    assert np.isnan(check_matrix(changed(0, 0, np.nan))).sum() == 1  # values come later


# --------------------------------------------------------------------------------------- weights


@pytest.mark.parametrize(
    "given", [[1, 0, 2], np.array([1, 0, 2]), pd.Series([1, 0, 2], index=[5, 6, 7])]
)
def test_weights_become_doubles(given: object) -> None:
    weights = check_sample_weight(given, 3)
    assert weights is not None
    assert weights.dtype == np.float64
    np.testing.assert_array_equal(weights, [1, 0, 2])


def test_weights_are_not_copied_without_need() -> None:
    weights = np.ones(3)
    assert check_sample_weight(weights, 3) is weights
    assert check_sample_weight(None, 3) is None


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1.0, 2.0], ValueError, r"shape \(2,\), expected \(3,\)"),
        (np.ones((3, 1)), ValueError, "1D array"),
        (1.0, ValueError, "1D array"),
        ([1.0, -2.0, 1.0], ValueError, r"1 value\(s\).*first -2 in row 1"),
        ([1.0, 1.0, np.nan], ValueError, "first nan in row 2"),
        ([np.inf, 1.0, 1.0], ValueError, "first inf in row 0"),
        ([0, 0, 0], ValueError, "all zero"),
        (["a", "b", "c"], TypeError, "not numeric"),
        (np.array([1, None, {}], dtype=object), TypeError, "other than numbers"),
        ([1j, 1, 1], ValueError, "Complex"),
    ],
)
def test_wrong_weights_are_refused(weights: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        check_sample_weight(weights, 3)


# --------------------------------------------------------------------------------------- scalars


def test_integers() -> None:
    assert check_positive_int(3, "k") == 3
    assert type(check_positive_int(np.int64(3), "k")) is int
    assert check_positive_int(0, "k", minimum=0) == 0
    with pytest.raises(ValueError, match=r"k=0 is too small; pass an integer >= 1"):
        check_positive_int(0, "k")
    for value in (True, 3.0, "3", None, np.bool_(True)):
        with pytest.raises(TypeError, match=r"k=.*pass an integer >= 1"):
            check_positive_int(value, "k")


def test_choices() -> None:
    assert check_in("soft", "assignment", ["soft", "hard"]) == "soft"
    assert check_in(np.str_("soft"), "assignment", ["soft", "hard"]) == "soft"
    assert check_in(None, "x", ("a", None)) is None
    for value in ("sofd", None, 1, np.array(["soft"])):
        with pytest.raises(ValueError, match=r"assignment=.*pass one of 'soft', 'hard'"):
            check_in(value, "assignment", ("soft", "hard"))
    with pytest.raises(ValueError, match="pass one of 1"):
        check_in(True, "x", [1])
    with pytest.raises(ValueError, match="pass one of True"):
        check_in(1, "x", [True])


@given(
    value=st.floats(),
    low=st.floats(-5, 0),
    high=st.floats(1, 5),
    closed=st.sampled_from(["both", "left", "right", "neither"]),
)
def test_intervals_take_what_lies_in_them(
    value: float, low: float, high: float, closed: str
) -> None:
    inside = low < value < high
    inside |= value == low and closed in ("both", "left")
    inside |= value == high and closed in ("both", "right")
    if inside:
        assert check_interval(value, "tol", low=low, high=high, closed=closed) == value  # type: ignore[arg-type]
    else:
        with pytest.raises(ValueError, match=r"tol=.* is out of range; pass a number in [\[(]"):
            check_interval(value, "tol", low=low, high=high, closed=closed)  # type: ignore[arg-type]


def test_intervals_need_finite_numbers() -> None:
    assert type(check_interval(np.float32(2), "tol")) is float
    assert check_interval(0, "tol", low=0) == 0
    for value in (math.inf, -math.inf, math.nan):
        with pytest.raises(ValueError, match=r"pass a number in \(-inf, inf\)"):
            check_interval(value, "tol")
    with pytest.raises(ValueError, match=r"tol=0 is out of range; pass a number in \(0, inf\)"):
        check_interval(0, "tol", low=0, closed="neither")
    for value in (True, "1", None, 1j):
        with pytest.raises(TypeError, match="tol="):
            check_interval(value, "tol")


def test_scikit_learn_is_loaded_only_when_needed() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, lowdim._validation; print('sklearn' in sys.modules)"],
        env={**os.environ, "PYTHONPATH": str(Path(lowdim.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.strip() == "False"
