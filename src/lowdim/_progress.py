"""Progress bars: silent in library calls unless asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from tqdm import tqdm

T = TypeVar("T")
Report = Callable[[int, float], None]
"""Takes the number of an iteration and the objective."""


@overload
def progress(iterable_or_total: int, *, description: str = ..., enabled: bool = ...) -> tqdm: ...
@overload
def progress(
    iterable_or_total: Iterable[T], *, description: str = ..., enabled: bool = ...
) -> tqdm[T]: ...
def progress(
    iterable_or_total: Iterable[Any] | int, *, description: str = "", enabled: bool = False
) -> tqdm:
    """Show how far a piece of long work has come, on the standard error stream.

    Parameters
    ----------
    iterable_or_total
        What to iterate over; or the number of steps of a bar that is moved by hand, with
        ``bar.update()`` inside ``with progress(100) as bar:``.
    description
        What is being done, shown before the bar.
    enabled
        False (the default) shows nothing and costs nothing.

    Returns
    -------
    A tqdm bar: an iterable and a context manager, with `update` and `set_postfix_str`.
    """
    from tqdm.auto import tqdm

    if isinstance(iterable_or_total, int):
        return tqdm(total=iterable_or_total, desc=description or None, disable=not enabled)
    return tqdm(iterable_or_total, desc=description or None, disable=not enabled)


@contextmanager
def reports(total: int, *, description: str, enabled: bool) -> Iterator[Report | None]:
    """A function that moves a bar by an iteration and shows the objective; None if not enabled."""
    if not enabled:
        yield None
        return
    with progress(total, description=description, enabled=True) as bar:

        def report(_: int, objective: float) -> None:
            bar.update()
            bar.set_postfix_str(f"objective {objective:.6g}")

        yield report
