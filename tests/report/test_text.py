"""Numbers as people read them."""

import math

import numpy as np
import pytest

from lowdim.report import _text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (0.48712, "0.4871"),
        (0.5, "0.5"),
        (12.3456, "12.35"),
        (123456.7, "123,457"),
        (-1234.56, "-1,235"),
        (0.00001234, "1.23e-05"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
        (math.nan, "–"),
        (100.0, "100"),
    ],
)
def test_number(value: float, expected: str) -> None:
    assert _text.number(value) == expected


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0, "0%"), (1, "100%"), (0.004, "< 1%"), (0.996, "> 99%"), (0.5, "50%"), (math.nan, "–")],
)
def test_percent_never_rounds_to_none_or_all(share: float, expected: str) -> None:
    assert _text.percent(share) == expected


def test_counts_and_kinds() -> None:
    assert _text.count(1, "row") == "1 row"
    assert _text.count(2000, "row") == "2,000 rows"
    assert [_text.kind(d) for d in range(4)] == ["point", "line", "plane", "3-D flat"]
    assert _text.kind(0, uniform=True) == "uniform background"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.array([2, 1]), "[2, 1]"),
        (np.zeros((3, 4)), "array of shape (3, 4)"),
        (np.float64(1e-6), "1e-06"),
        (np.True_, "True"),
        ({"mean": 1.5}, "mean: 1.5"),
        ("soft", "soft"),
    ],
)
def test_parameters(value: object, expected: str) -> None:
    assert _text.parameter(value) == expected
