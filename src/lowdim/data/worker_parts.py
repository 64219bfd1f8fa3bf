"""Parts of a table that lie on the workers of a Dask cluster, and functions that go to them.

A pass is one graph: the function goes out once, every part says what it has to say where it lies,
and workers add that up along a tree whose shape depends on the number of parts alone. So the bits
of a sum do not depend on how many workers there are, or on which of them is first. What is lost
with a worker is made again by the others.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from cloudpickle import dumps, loads
from dask import config
from dask.delayed import delayed

from lowdim.data.passes import add

if TYPE_CHECKING:
    from distributed import Client, Future

#: So many sums of parts are added up by one task.
FAN_IN = 8


def current_client() -> Client | None:
    """The client of `dask.distributed` that is active in this process, if there is one."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    try:
        client: Client = distributed.default_client()
    except ValueError:
        return None
    return None if client.asynchronous else client


class WorkerParts:
    """Objects on workers, each for some rows in a row.

    Parameters
    ----------
    client : distributed.Client
    futures : list of Future or Delayed
        The parts. Delayed ones are computed, and stay in the workers' memory.
    edges : ndarray of shape (n_parts + 1,)
        The first row of every part, and the number of rows.
    """

    def __init__(self, client: Client, parts: Sequence[Any], edges: np.ndarray) -> None:
        self.client, self.edges = client, edges
        self.futures: list[Future] = client.compute(list(parts), optimize_graph=False)

    def mapped(self, function: Callable[..., Any], along: Any = None) -> WorkerParts:
        """What the function makes of every part, as parts that stay where they are made."""
        return WorkerParts(self.client, self._applied(function, along, stays=True), self.edges)

    def each(self, function: Callable[..., Any], along: Any = None) -> list[Any]:
        """What the function says of every part, in order.

        With `along`, an entry per row (or a list with one per part), the part's own entries are its
        second argument.
        """
        with _quietly():
            found = self.client.compute(self._applied(function, along), optimize_graph=False)
        return [loads(own) for own in self.client.gather(found)]

    def total(self, function: Callable[..., Any], along: Any = None) -> Any:
        """The sum of what the function says of the parts; see `passes.add`."""
        sums = self._applied(function, along)
        while len(sums) > 1:
            groups = (sums[i : i + FAN_IN] for i in range(0, len(sums), FAN_IN))
            sums = [delayed(_sum, pure=False)(group) for group in groups]
        with _quietly():
            found = self.client.compute(sums[0], optimize_graph=False)
        return loads(found.result())

    def some(
        self, parts: list[int], function: Callable[..., Any], along: Sequence[Any]
    ) -> list[Any]:
        """What the function says of some parts, each with an argument of its own."""
        chosen = [self.futures[i] for i in parts]
        found = self.client.map(function, chosen, along, pure=False)
        gathered: list[Any] = self.client.gather(found)
        return gathered

    def _applied(self, function: Callable[..., Any], along: Any, stays: bool = False) -> list[Any]:
        """Tasks, one per part."""
        # As bytes, which a scheduler need not unpack and pack again.
        sent = delayed(loads, pure=False)(dumps(function))
        task = delayed(_said, pure=False)
        if along is None:
            return [task(sent, part, stays) for part in self.futures]
        if isinstance(along, np.ndarray):
            along = [along[start:stop] for start, stop in pairwise(self.edges.tolist())]
        own = zip(self.futures, along, strict=True)
        return [task(sent, part, stays, entries) for part, entries in own]


def _said(function: Callable[..., Any], part: Any, stays: bool, *along: Any) -> Any:
    """What a function says of a part; packed, unless it stays where it is."""
    found = function(part, *along)
    return found if stays else dumps(found)


def _sum(values: list[bytes]) -> bytes:
    return dumps(reduce(add, map(loads, values)))


@contextmanager
def _quietly() -> Iterator[None]:
    """Send parameters and statistics, however large, without a warning."""
    with config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
        yield
