"""Results come in order, whoever makes them."""

import time

import pytest
import torch

from lowdim.mixture._jobs import check_n_jobs, in_jobs


@pytest.mark.parametrize("n_jobs", [None, 1, 3])
def test_results_are_in_order_and_threads_are_given_back(n_jobs: int | None) -> None:
    def late(task: int) -> int:
        time.sleep(0.02 * (3 - task % 3))
        return task

    before = torch.get_num_threads()
    tasks = list(range(6))
    found = in_jobs(late, tasks, n_jobs=n_jobs, description="test", verbose=0)
    assert list(found) == tasks
    assert torch.get_num_threads() == before


def test_torch_threads_are_divided() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        for n_jobs, share in ((1, 4), (2, 2), (8, 1)):
            seen = in_jobs(
                lambda _: torch.get_num_threads(),
                range(8),
                n_jobs=n_jobs,
                description="",
                verbose=0,
            )
            assert set(seen) == {share}
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


def test_errors_come_through_and_threads_are_given_back() -> None:
    def fail(task: int) -> None:
        raise ValueError("task went wrong")

    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="went wrong"):
        list(in_jobs(fail, [0, 1], n_jobs=2, description="", verbose=0))
    assert torch.get_num_threads() == before


def test_progress_is_shown_when_asked_for(capfd: pytest.CaptureFixture) -> None:
    for verbose in (0, 1):
        list(in_jobs(abs, [1, 2], n_jobs=1, description="two steps", verbose=verbose))
        assert ("two steps" in capfd.readouterr().err) == bool(verbose)


def test_n_jobs_is_checked() -> None:
    assert check_n_jobs(None) == 1
    assert check_n_jobs(2) == 2
    assert check_n_jobs(-1) >= 1
    with pytest.raises(ValueError, match="n_jobs=0"):
        check_n_jobs(0)
    with pytest.raises(TypeError, match=r"n_jobs=1\.5"):
        check_n_jobs(1.5)
