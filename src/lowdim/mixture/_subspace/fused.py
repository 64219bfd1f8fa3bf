"""The E-step of dense rows in few columns on the host: parameters in, statistics out, compiled."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from lowdim._threads import in_threads
from lowdim.data.blocks import DenseBlock
from lowdim.mixture._family import Statistics
from lowdim.mixture._subspace.parameters import SubspaceParameters

#: What `accumulate` returns before the objective.
STATISTICS = ("counts", "squares", "sums", "energy", "second")
#: Rows times components that are worth a thread of their own.
THREAD_WORK = 50_000


def fused_expectation(
    block: DenseBlock, parameters: SubspaceParameters, assignment: str, beta: float
) -> tuple[Statistics, Tensor]:
    """The block's statistics, as `SubspaceFamily.statistics` has them, and summed objective."""
    from lowdim.mixture._subspace.estep import accumulate

    fields = ("means", "bases", "dims")
    means, bases, dims = (np.ascontiguousarray(parameters.host(name)) for name in fields)
    terms = (means, bases, dims, *_score_terms(parameters, assignment), assignment == "soft", beta)
    rows, weights = block.host_rows, block.host_weights
    work = block.n_rows * means.shape[0] * means.shape[1]
    n_threads = max(1, min(torch.get_num_threads(), work // THREAD_WORK))
    if n_threads == 1:
        sums = accumulate(rows, weights, *terms)
    else:
        edges = np.linspace(0, len(rows), n_threads + 1).astype(int)
        parts = in_threads(
            lambda span: accumulate(rows[span[0] : span[1]], weights[span[0] : span[1]], *terms),
            pairwise(edges),
        )
        sums = [sum(part) for part in zip(*parts, strict=True)]
    *statistics, objective = (torch.from_numpy(value) for value in sums)
    return dict(zip(STATISTICS, statistics, strict=True)), objective


def _score_terms(
    parameters: SubspaceParameters, assignment: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Constant (R, K), precision (R, K) and gain (R, K, q) of the scores (see `estep`)."""
    if assignment == "closest":
        shape = parameters.latent.shape
        return np.zeros(shape[:2]), np.full(shape[:2], 2.0), np.ones(shape)
    return parameters.score_terms
