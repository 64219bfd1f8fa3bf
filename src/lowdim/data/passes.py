"""One pass over blocks of rows: what a function says of each, in their order or summed up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from torch import Tensor

from lowdim._threads import side_by_side
from lowdim.data.blocks import Block

T = TypeVar("T")


def add(total: T, part: T) -> T:
    """The sum of two numbers, arrays, tensors, or dicts or tuples of such.

    What the first holds is reused.
    """
    if isinstance(total, dict):
        assert isinstance(part, dict)
        return {name: add(value, part[name]) for name, value in total.items()}  # type: ignore[return-value]
    if isinstance(total, tuple):
        assert isinstance(part, tuple)
        return tuple(map(add, total, part))  # type: ignore[return-value]
    if isinstance(total, Tensor) and total.device.type == "cpu":
        assert isinstance(part, Tensor)
        own = total.numpy()
        own += part.numpy()  # torch would wake threads, which then spin beside ours
        return total
    total += part  # type: ignore[operator]
    return total


class Passes:
    """Passes over the blocks that iteration yields.

    Where blocks lie on workers (see `worker_rows`), the functions go to them. So they carry all
    that they need, and leave the block as it is.
    """

    @property
    def local(self) -> bool:
        """Whether blocks are in this process."""
        return True

    @property
    def at_once(self) -> int:
        """How many blocks threads work on side by side."""
        return 1

    def __iter__(self) -> Iterator[Block]:
        """Blocks in the order of the rows."""
        raise NotImplementedError

    def each(self, function: Callable[..., T], along: np.ndarray | None = None) -> list[T]:
        """What the function says of every block, in the order of the rows.

        With `along`, one entry per row, the block's own entries are its second argument.
        """
        with closing(side_by_side(self._tasks(function, along), self.at_once)) as results:
            return list(results)

    def total(self, function: Callable[..., T], along: np.ndarray | None = None) -> T:
        """The sum of what the function says: numbers, arrays, tensors, dicts or tuples of them."""
        with closing(side_by_side(self._tasks(function, along), self.at_once)) as results:
            total = next(results)
            for part in results:
                total = add(total, part)
        return total

    def _tasks(
        self, function: Callable[..., T], along: np.ndarray | None
    ) -> Iterator[Callable[[], T]]:
        """What is to be done for each block."""
        first = None
        for block in self:
            if along is None:
                yield partial(function, block)
            else:
                first = block.start if first is None else first  # rows may be a part of others
                own = slice(block.start - first, block.start - first + block.n_rows)
                yield partial(function, block, along[own])
            del block  # the next one is made, and the one after it read


@runtime_checkable
class Elsewhere(Protocol):
    """Rows whose blocks are not in this process."""

    def mapped(self, function: Callable[[Block], Block]) -> Passes:
        """Other blocks, each made from one of these, where it is."""
        ...


class BlockList(Passes):
    """Blocks that are at hand."""

    def __init__(self, blocks: list[Any]) -> None:
        self.blocks = blocks

    def __iter__(self) -> Iterator[Block]:
        return iter(self.blocks)

    def __sizeof__(self) -> int:
        return sum(block.n_bytes for block in self.blocks)
