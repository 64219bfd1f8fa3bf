"""Small fits take one thread, and leave the number of threads as they found it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import numpy as np
import pytest
import torch

from lowdim import SubspaceMixture
from lowdim._threads import side_by_side, threads_for


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("n_values", "expected"), [(1, 1), (10**4, 1), (10**8, 2)])
def test_the_size_of_the_problem_decides(n_values: int, expected: int) -> None:
    with threads_for(n_values):
        assert torch.get_num_threads() == expected
    assert torch.get_num_threads() == 2


def test_an_error_does_not_leave_one_thread_behind() -> None:
    with pytest.raises(KeyError), threads_for(1):
        raise KeyError
    assert torch.get_num_threads() == 2


def test_a_fit_leaves_the_number_alone() -> None:
    X = np.random.default_rng(0).normal(size=(50, 3))
    model = SubspaceMixture(n_init=1, random_state=0).fit(X).partial_fit(X)
    model.predict(X)
    with pytest.raises(ValueError, match="max_iter"):
        model.set_params(max_iter=0).fit(X)
    assert torch.get_num_threads() == 2


@pytest.mark.filterwarnings("ignore:.*did not converge")
def test_several_threads_give_the_same_bits_again() -> None:
    X = np.random.default_rng(0).normal(size=(30_000, 80)).astype(np.float32)
    model = SubspaceMixture(dims=[1, 2], n_init=1, max_iter=4, random_state=0)
    first = model.fit(X).means_
    np.testing.assert_array_equal(model.fit(X).means_, first)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_tasks_side_by_side_come_in_order_and_are_not_made_long_before(n_threads: int) -> None:
    made, at_work, most, lock = [], [0], [0], threading.Lock()

    def task(i: int) -> int:
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        time.sleep(0.002 * (7 - i % 7))
        with lock:
            at_work[0] -= 1
        return i

    def tasks() -> Iterator[Callable[[], int]]:
        for i in range(20):
            made.append(i)
            yield partial(task, i)

    for i, found in enumerate(side_by_side(tasks(), n_threads)):
        assert found == i
        assert len(made) <= i + 1 + n_threads
    assert most[0] == n_threads
    assert torch.get_num_threads() == 2


def test_tasks_side_by_side_share_the_threads() -> None:
    torch.set_num_threads(4)
    assert list(side_by_side([torch.get_num_threads] * 6, 2)) == [2] * 6
    assert torch.get_num_threads() == 4


def test_a_failing_task_gives_the_threads_back() -> None:
    def fail() -> None:
        raise OSError("the disk is gone")

    before = threading.active_count()
    with (
        pytest.raises(OSError, match="the disk is gone"),
        closing(side_by_side([fail] * 9, 2)) as results,
    ):
        list(results)
    assert torch.get_num_threads() == 2
    assert threading.active_count() == before
