"""Where restarts begin: at given components or rows, or where a strategy says."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import torch

from lowdim.data.blocks import Block, Rows
from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._family import Statistics
from lowdim.mixture._subspace.arguments import Arguments
from lowdim.mixture._subspace.family import SubspaceFamily
from lowdim.mixture._subspace.given import GivenComponent, build_constraints
from lowdim.mixture._subspace.parameters import SubspaceParameters


def start_at(
    components: list[GivenComponent],
    weights: np.ndarray,
    family: SubspaceFamily,
    data: StandardizedRows,
) -> SubspaceParameters:
    """Parameters of given components; the weights, (K,), are also those of the held ones."""
    flats = build_constraints(components, data, family.starter.retained)
    assert flats is not None
    free = SubspaceParameters(
        weights=torch.ones_like(flats.noise)[None],
        means=flats.means[None],
        bases=flats.bases[None],
        latent=flats.latent[None].clamp(min=family.floor),
        noise=flats.noise[None].clamp(min=family.floor),
        dims=flats.dims[None],
    )
    start = family.with_held(family.starter.with_sketch(free))
    return replace(start, weights=torch.from_numpy(weights / weights.sum())[None].to(data.device))


def first_parameters(
    arguments: Arguments, data: Rows, family: SubspaceFamily, index: np.ndarray
) -> SubspaceParameters:
    """Parameters that all strategies, or given labels or responsibilities, start from.

    ``index`` says which rows the starter's sample holds.
    """
    starter = family.starter
    if arguments.strategies:
        requested = torch.tensor(arguments.dims, device=data.device)
        dims = requested.expand(len(arguments.strategies), -1).clone()
        return family.with_held(starter.start(arguments.strategies, dims))
    shares = arguments.responsibilities
    if shares is None:
        assert arguments.labels is not None
        shares = (arguments.labels == np.arange(len(arguments.dims))[:, None]).astype(float).T
    if starter.exact:
        free = starter.blank(np.array([arguments.dims]))
    else:
        requested = torch.tensor([arguments.dims], device=data.device)
        free = starter.from_labels(shares[index].argmax(1), requested)
    return from_responsibilities(family, data, shares, free)


def from_responsibilities(
    family: SubspaceFamily,
    data: Rows,
    shares: np.ndarray,
    free: SubspaceParameters,
) -> SubspaceParameters:
    """The M-step of given responsibilities, (N, K); `free` is where a sketch looks for axes."""
    learned = replace(family, constraints=None, reassign=False)
    own = learned if data.local else learned.to_send()
    total = data.total(partial(_statistics_of_shares, own, free), shares)
    return family.with_held(learned.maximize(total, free))


def _statistics_of_shares(
    family: SubspaceFamily, free: SubspaceParameters, block: Block, shares: np.ndarray
) -> Statistics:
    """The statistics of a block under given responsibilities, (n, K)."""
    own = torch.from_numpy(shares.T)[None].to(block.squared_norms.device).contiguous()
    return family.statistics(block, own if block.weights is None else own * block.weights, free)
