"""Parts of a table that lie on the workers of a Dask cluster, and functions that go to them.

A pass is one graph: the function goes out once, every part says what it has to say where it lies,
and workers add that up along a tree whose shape depends on the number of parts alone. So the bits
of a sum do not depend on how many workers there are, or on which of them is first. What is lost
with a worker is made again by the others.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import reduce
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from cloudpickle import Pickler, loads
from dask import config

from lowdim.data.passes import add

if TYPE_CHECKING:
    from distributed import Client, Future

#: So many sums of parts are added up by one task.
FAN_IN = 16


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


class _Pickler(Pickler):
    """Pickles tensors as arrays, which takes less time."""

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is torch.Tensor:
            return torch.from_numpy, (obj.numpy(),)
        return super().reducer_override(obj)


def packed(value: Any) -> bytes:
    """What `loads` turns back into the value."""
    with io.BytesIO() as file:
        _Pickler(file, protocol=5).dump(value)
        return file.getvalue()


class WorkerParts:
    """Objects on workers, each for some rows in a row.

    Parameters
    ----------
    client : distributed.Client
    futures : list of Future
        The parts. Workers keep them as long as this lives.
    edges : ndarray of shape (n_parts + 1,)
        The first row of every part, and the number of rows.
    """

    def __init__(self, client: Client, futures: list[Future], edges: np.ndarray) -> None:
        self.client, self.futures, self.edges = client, futures, edges

    def mapped(self, function: Callable[..., Any], along: Any = None) -> WorkerParts:
        """What the function makes of every part, as parts that stay where they are made."""
        with _quietly():
            return WorkerParts(self.client, self._applied(_made, function, along), self.edges)

    def each(self, function: Callable[..., Any], along: Any = None) -> list[Any]:
        """What the function says of every part, in order.

        With `along`, an entry per row (or a list with one per part), the part's own entries are its
        second argument.
        """
        with _quietly():
            found = self._applied(_said, function, along)
        return [loads(own) for own in self.client.gather(found)]

    def total(self, function: Callable[..., Any], along: Any = None) -> Any:
        """The sum of what the function says of the parts; see `passes.add`."""
        with _quietly():
            sums = self._applied(_made, function, along)
        while len(sums) > FAN_IN:
            groups = [sums[i : i + FAN_IN] for i in range(0, len(sums), FAN_IN)]
            sums = self.client.map(_sum, groups, pure=False)
        return loads(self.client.submit(_packed_sum, sums, pure=False).result())

    def some(
        self, parts: list[int], function: Callable[..., Any], along: Sequence[Any]
    ) -> list[Any]:
        """What the function says of some parts, each with an argument of its own."""
        chosen = [self.futures[i] for i in parts]
        found = self.client.map(function, chosen, along, pure=False)
        gathered: list[Any] = self.client.gather(found)
        return gathered

    def _applied(self, task: Any, function: Callable[..., Any], along: Any) -> list[Future]:
        """One task per part."""
        # As bytes, which a scheduler need not unpack and pack again.
        sent = self.client.submit(loads, packed(function), pure=False)
        arguments = [[sent] * len(self.futures), self.futures]
        if isinstance(along, np.ndarray):
            along = [along[start:stop] for start, stop in pairwise(self.edges.tolist())]
        if along is not None:
            arguments.append(along)
        tasks: list[Future] = self.client.map(task, *arguments, pure=False)
        return tasks


def _made(function: Callable[..., Any], part: Any, *along: Any) -> Any:
    return function(part, *along)


def _said(function: Callable[..., Any], part: Any, *along: Any) -> bytes:
    return packed(function(part, *along))


def _sum(values: list[Any]) -> Any:
    """A sum that leaves what other tasks have made as it is."""
    return reduce(add, values[1:], deepcopy(values[0]))


def _packed_sum(values: list[Any]) -> bytes:
    return packed(_sum(values))


@contextmanager
def _quietly() -> Iterator[None]:
    """Send parameters and statistics, however large, without a warning."""
    with config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
        yield
