"""Clusters of separate worker processes, and how to lose one of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock


@contextmanager
def two_workers() -> Iterator[Any]:
    """The client of a cluster of two processes, each with one thread."""
    import distributed

    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1",
            dashboard_address="127.0.0.1:0", silence_logs="CRITICAL",
        ) as machines,
        distributed.Client(machines) as client,
    ):  # fmt: skip
        yield client


def losing_a_worker(client: Any, fit: Callable[[], Any], n_passes: int) -> Any:
    """What a fit comes to if a worker is killed in the sixth of more than so many passes."""
    from lowdim.data.worker_parts import WorkerParts

    victim, seen = min(client.run(os.getpid).values()), []
    total = WorkerParts.total

    def killing(self: Any, function: Any, along: Any = None) -> Any:
        seen.append(len(self.futures))
        if len(seen) == 6:
            os.kill(victim, signal.SIGKILL)
        return total(self, function, along)

    with mock.patch.object(WorkerParts, "total", killing):
        model = fit()
    assert len(seen) > n_passes
    assert victim not in client.run(os.getpid).values()
    return model
