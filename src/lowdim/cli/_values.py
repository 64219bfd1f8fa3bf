"""Values of options as they are typed."""

from __future__ import annotations

from argparse import ArgumentTypeError


def dims_list(text: str) -> list[int]:
    """The dimensions in "2,1,1"."""
    try:
        dims = [int(part) for part in text.split(",")]
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a list of whole numbers such as 2,1,1") from None
    if min(dims) < 0:
        raise ArgumentTypeError(f"{text!r} has a negative dimension")
    return dims


def positive_int(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def positive_number(text: str) -> float:
    """A number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def number_or_share(text: str) -> int | float:
    """A whole number above 1, or a share: a number between 0 and 1."""
    if text.isdecimal() and int(text) > 1:
        return int(text)
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise ArgumentTypeError(
            f"{text!r} is neither a whole number above 1 nor a share such as 0.2"
        )
    return value


def parameter(text: str) -> tuple[str, bool | int | float | str | None]:
    """The name and the value in "exaggeration=4": a number, true, false, none, or text."""
    name, found, value = text.partition("=")
    if not found or not name.isidentifier() or not value:
        raise ArgumentTypeError(f"{text!r} is not a parameter such as exaggeration=4")
    words: dict[str, bool | None] = {"true": True, "false": False, "none": None}
    if value.lower() in words:
        return name, words[value.lower()]
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, value


def sizes_list(text: str) -> list[int]:
    """The numbers in "8", "2-10" or "2,4,8"."""
    try:
        if "-" in text:
            low, high = (positive_int(part) for part in text.split("-"))
            sizes = list(range(low, high + 1))
        else:
            sizes = [positive_int(part) for part in text.split(",")]
    except (ValueError, ArgumentTypeError):
        sizes = []
    if not sizes:
        raise ArgumentTypeError(f"{text!r} is not a number of components such as 8, 2-10 or 2,4,8")
    return sizes


def natural_number(text: str) -> int:
    """A whole number of at least 0."""
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)
