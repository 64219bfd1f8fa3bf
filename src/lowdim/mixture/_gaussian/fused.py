"""The compiled E-step of full covariances on the host: parameters in, statistics out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lowdim._threads import in_threads, row_parts
from lowdim.data.blocks import DenseBlock
from lowdim.mixture._family import Statistics

if TYPE_CHECKING:
    from lowdim.mixture._gaussian.family import GaussianParameters

#: Rows times components times columns that are worth a thread.
THREAD_WORK = 200_000
#: In this many columns or fewer, scores are made at once; beyond, bounds come first, from one in
#: `LEAD_SHARE` columns or as many.
WHOLE_COLUMNS, LEAD_SHARE = 16, 4
#: An EM step of so much less work, in so few columns, is one call.
STEP_WORK, STEP_COLUMNS = 1_000_000, 64


def fused_expectation(
    block: DenseBlock, parameters: GaussianParameters, assignment: str, beta: float
) -> tuple[Statistics, Tensor]:
    """The block's statistics, as `GaussianFamily.statistics` has them, and summed objective."""
    from lowdim.mixture._gaussian.estep import accumulate

    rows, weights = block.host_rows, block.host_weights
    sums: list[tuple[Any, ...]] = []
    n_restarts, k, d = parameters.means.shape
    for r in range(n_restarts):
        order = _telling(parameters, r)
        terms = _terms(parameters, r, order)

        def work(part: slice, order: np.ndarray = order, terms: Any = terms) -> Any:
            return accumulate(rows[part], order, weights[part], *terms, assignment == "soft", beta)

        parts = in_threads(work, row_parts(len(rows), len(rows) * k * d // THREAD_WORK))
        counts, means, second, objective = (sum(values) for values in zip(*parts, strict=True))
        back = np.argsort(order)
        sums.append((counts, means[:, back], second[:, back[:, None], back], objective))
    counts, means, second, objective = (np.stack(values) for values in zip(*sums, strict=True))
    statistics = {"counts": counts, "sums": means, "second": second}
    tensors = {name: torch.from_numpy(value) for name, value in statistics.items()}
    return tensors, torch.from_numpy(objective)


def in_one_call(n_rows: int, parameters: GaussianParameters) -> bool:
    """Whether there is so little to do that an EM step is best made by one compiled function."""
    r, k, d = parameters.means.shape
    return d <= STEP_COLUMNS and n_rows * r * k * d < STEP_WORK


def whole_step(
    block: DenseBlock, parameters: GaussianParameters, assignment: str, beta: float, reg: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Summed objective (R,), counts (R, K), and the next means and covariances."""
    from lowdim.mixture._gaussian.step import step

    p = parameters
    found: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] = step(
        block.host_rows,
        block.host_weights,
        p.weights.numpy(),
        p.means.numpy(),
        p.covariances.numpy(),
        assignment == "soft",
        beta,
        reg,
        _lead(p.means.shape[2]),
    )
    return found


def _lead(n_columns: int) -> int:
    """In so many columns scores are bounded first."""
    return n_columns if n_columns <= WHOLE_COLUMNS else max(8, n_columns // LEAD_SHARE)


def _telling(parameters: GaussianParameters, r: int) -> np.ndarray:
    """Columns in the order in which they tell components apart: variance of the means, within."""
    weights = parameters.weights[r].numpy()[:, None]
    means = parameters.means[r].numpy()
    between = (weights * np.square(means - (weights * means).sum(0))).sum(0)
    within = (weights * parameters.covariances[r].diagonal(dim1=-2, dim2=-1).numpy()).sum(0)
    return np.argsort(-between / np.maximum(within, 1e-300), kind="stable")


def _terms(parameters: GaussianParameters, r: int, order: np.ndarray) -> tuple[np.ndarray, ...]:
    """Leading factors, the rest of them, shifts and constants, as `estep.accumulate` has them."""
    d = len(order)
    index = torch.from_numpy(order)
    covariances = parameters.covariances[r][:, index[:, None], index]
    whitening = parameters.shape.whiten(covariances, d)[0].numpy()  # y = W (x - mu)
    means = parameters.means[r].numpy()[:, order]
    factors = whitening.swapaxes(1, 2)
    m = _lead(d)
    return (
        np.ascontiguousarray(factors[:, :m, :m]),
        np.ascontiguousarray(factors[:, :, m:]),
        np.einsum("kab,kb->ka", whitening, means),
        parameters.constants[r].numpy(),
    )
