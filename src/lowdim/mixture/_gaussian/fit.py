"""From rows to the best of several Gaussian mixtures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from lowdim._journal import Journal
from lowdim._progress import reports
from lowdim.cluster._seeding import sample_block
from lowdim.data.blocks import Block
from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._em import EMResult, run_em
from lowdim.mixture._family import Statistics, concatenate
from lowdim.mixture._gaussian.arguments import Arguments
from lowdim.mixture._gaussian.family import GaussianFamily, GaussianParameters
from lowdim.mixture._gaussian.starts import Starter


@dataclass(frozen=True)
class GaussianFit:
    """All restarts, and which of them was kept."""

    result: EMResult[GaussianParameters]
    best: int

    @property
    def parameters(self) -> GaussianParameters:
        """Those of the kept restart, as a batch of one."""
        device = self.result.parameters.weights.device
        return self.result.parameters.select(torch.tensor([self.best], device=device))


def make_family(
    kind: str, arguments: Arguments, data: StandardizedRows, rng: np.random.Generator
) -> GaussianFamily:
    """The family that the arguments ask for."""
    starter = Starter(
        sample=sample_block(data, arguments.n_components, rng),
        n_rows=data.n_rows,
        n_columns=data.n_columns,
        rng=rng,
    )
    total = _second_moments(data) if kind == "tied" else None
    return GaussianFamily(kind, arguments.reg, starter, data.total_weight, total)


def _second_moments(data: StandardizedRows) -> torch.Tensor:
    """Sum of w x x' over all rows, (D, D)."""
    total: torch.Tensor = data.total(_weighted_moments)
    return total


def _weighted_moments(block: Block) -> torch.Tensor:
    weights = torch.ones_like(block.squared_norms) if block.weights is None else block.weights
    return block.second_moments(weights[None])[0]


def first_parameters(
    family: GaussianFamily, arguments: Arguments, data: StandardizedRows
) -> GaussianParameters:
    """Where all restarts begin."""
    k = arguments.n_components
    if arguments.shares is not None:
        start = _from_shares(family, data, arguments.shares)
    else:
        start = concatenate([family.starter.start(family, k, kind) for kind in arguments.kinds])
    return _with_given(start, arguments, data)


def _from_shares(
    family: GaussianFamily, data: StandardizedRows, shares: np.ndarray
) -> GaussianParameters:
    """The M-step of given responsibilities, (N, K)."""
    own = family if data.local else family.to_send()
    return family.maximize(data.total(partial(_moments_of_shares, own), shares), None)


def _moments_of_shares(family: GaussianFamily, block: Block, shares: np.ndarray) -> Statistics:
    """The statistics of a block under given responsibilities, (n, K)."""
    own = torch.from_numpy(shares.T.copy())[None].to(block.squared_norms.device)
    return family.moments(block, own if block.weights is None else own * block.weights)


def _with_given(
    start: GaussianParameters, arguments: Arguments, data: StandardizedRows
) -> GaussianParameters:
    """What the user gave in place of what was found."""

    def tensor(value: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(value)).to(data.device)

    changes: dict[str, Any] = {}
    if arguments.weights is not None:
        changes["weights"] = tensor(arguments.weights).expand_as(start.weights).clone()
    if arguments.means is not None:
        means = (arguments.means - data.mean) / data.scale
        changes["means"] = tensor(means).expand_as(start.means).clone()
    if arguments.precisions is not None:
        given = arguments.precisions * data.scale**2
        matrices = start.kind in ("full", "tied")
        covariances = np.linalg.inv(given) if matrices else 1 / given
        changes["covariances"] = tensor(covariances).expand_as(start.covariances).clone()
    return replace(start, **changes)


def fit_rows(
    kind: str,
    arguments: Arguments,
    data: StandardizedRows,
    rng: np.random.Generator,
    *,
    start: GaussianParameters | None = None,
    verbose: int = 0,
    journal: Journal | None = None,
) -> GaussianFit:
    """The best of all restarts, or of a single one from given parameters."""
    family = make_family(kind, arguments, data, rng)
    if start is None:
        start = first_parameters(family, arguments, data)
    limit = arguments.options.max_iter
    with reports(limit, description="EM", enabled=verbose > 0) as report:
        result = run_em(family, data, start, arguments.options, report, journal)
    return GaussianFit(result, result.best())
