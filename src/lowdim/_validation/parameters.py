"""Checks of parameters: numbers and choices."""

from __future__ import annotations

import math
from collections.abc import Collection
from numbers import Integral, Real
from typing import Any, Literal, TypeVar

import numpy as np

T = TypeVar("T")
Closed = Literal["both", "left", "right", "neither"]


def check_positive_int(value: Any, name: str, *, minimum: int = 1) -> int:
    """Return `value` as an int of at least `minimum`.

    Raises
    ------
    TypeError
        It is not an integer (True, False and 3.0 are not).
    ValueError
        It is too small.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral):
        raise TypeError(
            f"{name}={value!r} is a {type(value).__name__}; pass an integer >= {minimum}."
        )
    if value < minimum:
        raise ValueError(f"{name}={value!r} is too small; pass an integer >= {minimum}.")
    return int(value)


def check_in(value: T, name: str, allowed: Collection[T]) -> T:
    """Return `value`, which must be one of `allowed`; otherwise raise ValueError listing them."""
    if not any(_is_choice(value, choice) for choice in allowed):
        choices = ", ".join(repr(choice) for choice in allowed)
        raise ValueError(f"{name}={value!r} is not a choice; pass one of {choices}.")
    return value


def _is_choice(value: Any, choice: Any) -> bool:
    """Equality that takes neither True for 1 nor an array for a choice."""
    same_kind = isinstance(value, type(choice)) and isinstance(value, bool) == isinstance(
        choice, bool
    )
    return same_kind and bool(value == choice)


def check_interval(
    value: Any,
    name: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    closed: Closed = "both",
) -> float:
    """Return `value` as a finite float between `low` and `high`.

    Parameters
    ----------
    value
        A real number.
    name
        The argument it came from.
    low, high
        The ends.
    closed
        Which ends are allowed themselves.

    Raises
    ------
    TypeError
        It is not a real number (True and False are not).
    ValueError
        It is NaN, infinite or outside the interval.
    """
    left = "[" if closed in ("both", "left") and low > -math.inf else "("
    right = "]" if closed in ("both", "right") and high < math.inf else ")"
    interval = f"{left}{low:g}, {high:g}{right}"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(
            f"{name}={value!r} is a {type(value).__name__}; pass a number in {interval}."
        )
    number = float(value)
    above = number >= low if left == "[" else number > low
    below = number <= high if right == "]" else number < high
    if not (math.isfinite(number) and above and below):
        raise ValueError(f"{name}={value!r} is out of range; pass a number in {interval}.")
    return number


def check_positive(value: Any, name: str) -> float:
    """Return `value` as a finite float above zero; otherwise raise as `check_interval` does."""
    return check_interval(value, name, low=0.0, closed="neither")
