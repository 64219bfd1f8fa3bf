"""The counts of a row source, where they are scored and summed."""

from __future__ import annotations

import logging

import numpy as np
import torch

from lowdim.data.dask_rows import DaskRows
from lowdim.data.sources import RowSource
from lowdim.mixture._counts.looks import CountsElsewhere
from lowdim.mixture._counts.matrix import Counts
from lowdim.mixture._counts.model import AnyCounts, Mixture, Sizes, log_joint
from lowdim.mixture._counts.on_disk import CountsOnDisk

_logger = logging.getLogger("lowdim")


def counts_here(source: RowSource, weights: np.ndarray | None = None) -> AnyCounts:
    """The counts, for passes in this process: in memory if they are there."""
    if source.in_memory:
        return Counts.read(source, weights)
    return CountsOnDisk(source, np.ones(source.n_rows) if weights is None else weights)


def counts_for(
    source: RowSource, device: torch.device, weights: np.ndarray | None = None
) -> AnyCounts | CountsElsewhere:
    """The counts of a fit: on the workers that hold them, on a device, or in this process."""
    if isinstance(source, DaskRows) and source.client is not None:
        from lowdim.mixture._counts.on_workers import CountsOnWorkers

        if device.type != "cpu":
            _logger.warning("Dask workers compute on processors; device %s is not used.", device)
        return CountsOnWorkers(source, np.ones(source.n_rows) if weights is None else weights)
    counts = counts_here(source, weights)
    if device.type == "cpu":
        return counts
    from lowdim.mixture._counts.on_device import CountsOnDevice

    return CountsOnDevice(counts, device)


def scores_of(counts: AnyCounts, sizes: Sizes, model: Mixture, device: torch.device) -> np.ndarray:
    """``log pi_k + log p(x_i | k)``, (N, K), made on a device or in this process."""
    if device.type == "cpu":
        return log_joint(counts, sizes, model)
    from lowdim.mixture._counts.on_device import CountsOnDevice

    return CountsOnDevice(counts, device).log_joint(sizes, model)
