"""The counts of a row source, where a fit to them is best made."""

from __future__ import annotations

import numpy as np

from lowdim.data.dask_rows import DaskRows
from lowdim.data.sources import RowSource
from lowdim.mixture._counts.looks import CountsElsewhere
from lowdim.mixture._counts.matrix import Counts
from lowdim.mixture._counts.model import AnyCounts
from lowdim.mixture._counts.on_disk import CountsOnDisk


def counts_here(source: RowSource, weights: np.ndarray | None = None) -> AnyCounts:
    """The counts, for passes in this process: in memory if they are there."""
    if source.in_memory:
        return Counts.read(source, weights)
    return CountsOnDisk(source, np.ones(source.n_rows) if weights is None else weights)


def counts_of_fit(
    source: RowSource, weights: np.ndarray | None = None
) -> AnyCounts | CountsElsewhere:
    """The counts of a fit: on the workers that hold them, else in this process."""
    if not isinstance(source, DaskRows) or source.client is None:
        return counts_here(source, weights)
    from lowdim.mixture._counts.on_workers import CountsOnWorkers

    return CountsOnWorkers(source, np.ones(source.n_rows) if weights is None else weights)
