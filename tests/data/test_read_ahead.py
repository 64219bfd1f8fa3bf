"""Rows of a file, one block ahead."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from lowdim.data.memory import ArrayRows
from lowdim.data.read_ahead import row_blocks


class Recorded(ArrayRows):
    """Rows that remember who asked for which."""

    def __init__(self, X: np.ndarray, *, in_memory: bool, broken_from: int | None = None) -> None:
        super().__init__(X)
        self.in_memory = in_memory  # type: ignore[misc]
        self.broken_from = broken_from
        self.asked: list[tuple[int, int]] = []
        self.threads: set[int] = set()

    def rows(self, start: int, stop: int) -> Any:
        self.asked.append((start, stop))
        self.threads.add(threading.get_ident())
        if self.broken_from is not None and start >= self.broken_from:
            raise OSError("the disk is gone")
        return super().rows(start, stop)


X = np.arange(46.0).reshape(23, 2)


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("step", [1, 5, 22, 23, 100])
def test_blocks_are_all_rows_in_order(step: int, in_memory: bool) -> None:
    source = Recorded(X, in_memory=in_memory)
    blocks = list(row_blocks(source, step))
    assert [start for start, _ in blocks] == list(range(0, 23, step))
    np.testing.assert_array_equal(np.concatenate([rows for _, rows in blocks]), X)
    assert source.asked == sorted(set(source.asked))  # each once, in order
    here = threading.get_ident()
    assert source.threads == {here} if in_memory or step >= 23 else here not in source.threads


def test_no_more_than_one_block_is_read_ahead() -> None:
    source = Recorded(X, in_memory=False)
    for number, (start, _) in enumerate(row_blocks(source, 5)):
        assert start == 5 * number
        assert len(source.asked) <= number + 2


def test_an_error_of_the_reader_is_raised_where_its_rows_are_due() -> None:
    source = Recorded(X, in_memory=False, broken_from=10)
    blocks = row_blocks(source, 5)
    assert [next(blocks)[0], next(blocks)[0]] == [0, 5]
    with pytest.raises(OSError, match="the disk is gone"):
        next(blocks)


def test_a_pass_that_is_given_up_leaves_no_thread() -> None:
    before = threading.active_count()
    blocks = row_blocks(Recorded(X, in_memory=False), 5)
    next(blocks)
    blocks.close()
    assert threading.active_count() == before
