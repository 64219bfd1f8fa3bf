"""Neighbours of a fitted mixture: one component split, two merged, one dimension changed.

They are starting points only: EM decides what becomes of them. Each function takes a batch of one
and returns a batch of one; the last ``n_held`` components stay last.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lowdim.math.linalg import orthonormal_rows
from lowdim.mixture._subspace.parameters import SubspaceParameters

SPLITS = ("along", "cross", "scale")


def split(parameters: SubspaceParameters, k: int, kind: str, n_held: int = 0) -> SubspaceParameters:
    """Component k in two.

    "along": two centres apart on the leading axis. "cross": two flats through the same centre,
    their leading axes turned by 45 degrees to either side, as two lines that make up a plane.
    "scale": a narrow and a wide copy.
    """
    n = parameters.weights.shape[1]
    twin = n - n_held
    p = _take(parameters, [*range(twin), k, *range(twin, n)])
    weights, means, noise = p.weights.clone(), p.means.clone(), p.noise.clone()
    bases, latent, dims = p.bases.clone(), p.latent.clone(), p.dims.clone()
    weights[:, [k, twin]] /= 2
    if kind == "along":
        step = latent[0, k, 0].sqrt() * bases[0, k, 0]
        means[0, k] += 0.8 * step
        means[0, twin] -= 0.8 * step
        latent[:, [k, twin], 0] *= 0.36
    elif kind == "cross":
        first, second = bases[0, k, 0].clone(), bases[0, k, 1].clone()
        bases[0, k, :2] = torch.stack([first + second, first - second]) / 2**0.5
        bases[0, twin, :2] = torch.stack([first - second, first + second]) / 2**0.5
        latent[:, [k, twin], 1] = noise[:, [k, twin]]
        dims[:, [k, twin]] = (dims[:, [k, twin]] - 1).clamp(min=0)
    else:
        noise[0, k] /= 2
        noise[0, twin] *= 3
        latent[0, twin] *= 3
    latent = torch.maximum(latent, noise[..., None])
    return replace(
        p, weights=weights, means=means, noise=noise, bases=bases, latent=latent, dims=dims
    )


def merge(parameters: SubspaceParameters, i: int, j: int) -> SubspaceParameters:
    """Components i and j as one, by their first two moments."""
    p = parameters
    w = p.weights[0, [i, j]]
    share = w / w.sum().clamp(min=1e-300)
    mean = share @ p.means[0, [i, j]]
    noise = share @ p.noise[0, [i, j]]
    excess = torch.where(p.in_subspace, p.latent - p.noise[..., None], 0.0).clamp(min=0)
    gap = share.prod().sqrt() * (p.means[0, i] - p.means[0, j])
    rows = [(share[a] * excess[0, b]).sqrt()[:, None] * p.bases[0, b] for a, b in ((0, i), (1, j))]
    _, s, vt = torch.linalg.svd(torch.cat([*rows, gap[None]]), full_matrices=False)
    q = p.bases.shape[2]
    values = torch.zeros(q, dtype=s.dtype, device=s.device)
    values[: len(s)] = s[:q].square()
    basis = orthonormal_rows(torch.cat([vt[:q], p.bases[0, i]])[:q])
    merged = _replace_component(p, i, w.sum(), mean, basis, values + noise, noise)
    return _take(merged, [k for k in range(p.weights.shape[1]) if k != j])


def change_dim(parameters: SubspaceParameters, k: int, d: int) -> SubspaceParameters:
    """Component k with dimension d."""
    dims = parameters.dims.clone()
    dims[0, k] = d
    latent = torch.maximum(parameters.latent, parameters.noise[..., None])
    return replace(parameters, dims=dims, latent=latent)


def closest_pairs(
    parameters: SubspaceParameters, n_free: int, n_pairs: int
) -> list[tuple[int, int]]:
    """Pairs of learned components whose centres lie closest in units of their own spread."""
    p = parameters
    spread = (
        torch.where(p.in_subspace, p.latent, 0.0).sum(-1)[0]
        + (p.n_columns - p.dims[0]) * p.noise[0]
    )[:n_free]
    distance = torch.cdist(p.means[0, :n_free], p.means[0, :n_free]).square()
    relative = distance / (spread[:, None] + spread[None])
    i, j = torch.triu_indices(n_free, n_free, offset=1, device=relative.device)
    order = relative[i, j].argsort()[:n_pairs]
    return list(zip(i[order].tolist(), j[order].tolist(), strict=True))


def _take(parameters: SubspaceParameters, order: list[int]) -> SubspaceParameters:
    index = torch.tensor(order, device=parameters.device)
    changes: dict[str, Any] = {name: value[:, index] for name, value in parameters._tensors()}
    return replace(parameters, **changes)


def _replace_component(
    p: SubspaceParameters,
    k: int,
    weight: Tensor,
    mean: Tensor,
    basis: Tensor,
    latent: Tensor,
    noise: Tensor,
) -> SubspaceParameters:
    changes = {}
    for name, value in (
        ("weights", weight),
        ("means", mean),
        ("bases", basis),
        ("latent", latent),
        ("noise", noise),
    ):
        changes[name] = getattr(p, name).clone()
        changes[name][0, k] = value
    if p.sketch is not None:
        changes["sketch"] = p.sketch.clone()
        changes["sketch"][0, k] = orthonormal_rows(torch.cat([basis, p.sketch[0, k, len(basis) :]]))
    return replace(p, **changes)
