"""The M-step: exact maximum likelihood given the responsibilities.

With n, mu and S the weight, mean and covariance of a component's rows, the maximum has V = the
top d eigenvectors of S, lambda = their eigenvalues and sigma^2 = (tr S - sum lambda) / (D - d).
In few columns S itself is the statistic. In many columns only ``W S`` is, for a sketch W whose
rows span the current axes and the residuals of ``S V'``; maximising over axes within the span of
W (Rayleigh-Ritz) contains the current axes, so the likelihood still cannot fall.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from lowdim._device import to_device, to_host
from lowdim._threads import in_threads
from lowdim.math.linalg import by_rotations, leading_eigh, orthonormal_rows
from lowdim.mixture._family import Statistics
from lowdim.mixture._subspace.parameters import SubspaceParameters

#: Numbers in all sketches from which on an M-step is worth several threads.
THREAD_VALUES = 2**17


@dataclass(frozen=True)
class Spectrum:
    """Leading eigenpairs of every component's covariance and what dimensions would cost.

    The numbers per component are on the host, where NumPy's calls on a few numbers cost least.
    """

    counts: np.ndarray  # (R, K)
    values: np.ndarray  # (R, K, q), descending, at least the floor
    means: np.ndarray | Tensor  # (R, K, D)
    vectors: np.ndarray | Tensor  # (R, K, q, D)
    residual: np.ndarray  # (R, K, q + 1): variance outside the leading d axes for d = 0, ..., q
    noise: np.ndarray  # (R, K, q + 1): sigma^2 for these d; at d = D the smallest eigenvalue
    cost: np.ndarray  # (R, K, q + 1): minus the maximal expected log-likelihood, up to a constant
    n_columns: int  # D, and columns outside those of the means
    sketch: Tensor | None = None  # (R, K, w, D): for the next M-step

    def residual_at(self, dims: np.ndarray) -> np.ndarray:
        """Variance outside the leading axes for given dimensions, (R, K)."""
        return np.take_along_axis(self.residual, dims[..., None], -1)[..., 0]

    def cost_given_noise(self, noise: np.ndarray) -> np.ndarray:
        """The same with sigma^2 held at ``noise``, (R, K)."""
        from lowdim.mixture._subspace.mstep import cost_given_noise

        return cost_given_noise(self.counts, self.residual, self.values, noise, self.n_columns)

    def distance_cost(self) -> np.ndarray:
        """Sum of squared distances to the best flat of dimension d = 0..q."""
        return self.counts[..., None] * self.residual


def spectrum(statistics: Statistics, parameters: SubspaceParameters, floor: float) -> Spectrum:
    """Eigenpairs from second moments (no sketch) or by Rayleigh-Ritz within the sketch."""
    if parameters.sketch is None:
        return _whole_spectrum(statistics, parameters, floor)
    return _sketched_spectrum(statistics, parameters.sketch, parameters.retained, floor)


def _whole_spectrum(
    statistics: Statistics, parameters: SubspaceParameters, floor: float
) -> Spectrum:
    """The q leading eigenpairs of S, on the host."""
    from lowdim.mixture._subspace import mstep

    names = ("counts", "sums", "energy", "second")
    counts, *moments = to_host(*(statistics[name] for name in names))
    q, n_columns = parameters.retained, parameters.n_columns
    if by_rotations(parameters.shape[2], q):
        means, values, vectors, tables = mstep.spectrum(counts, *moments, q, n_columns, floor)
    else:
        means, trace, covariance = mstep.covariances(counts, *moments)
        values, vectors = leading_eigh(covariance, q)
        values = np.maximum(values, floor)
        tables = mstep.noise_and_cost(counts, trace, values, n_columns, floor)
    residual, noise, cost = tables
    return Spectrum(counts, values, means, vectors, residual, noise, cost, n_columns)


def _sketched_spectrum(statistics: Statistics, sketch: Tensor, q: int, floor: float) -> Spectrum:
    """The q leading eigenpairs of S within the span of the sketch's rows, and the next sketch.

    The next sketch holds the axes and the residuals of ``S V'``: where S says to look next.
    """
    from lowdim.mixture._subspace.mstep import noise_and_cost

    r, k, _, d = sketch.shape
    counts = statistics["counts"]
    n = counts.clamp(min=1e-300)[..., None]
    means = statistics["sums"] / n
    trace = (statistics["energy"] / n[..., 0] - means.square().sum(-1)).clamp(min=0)
    ritz = _host_ritz if sketch.device.type == "cpu" else _device_ritz
    values, turned = ritz(
        sketch.flatten(0, 1),
        n.flatten(),
        means.flatten(0, 1),
        statistics["second"].flatten(0, 1),
        q,
    )
    turned = turned.view(sketch.shape)
    values = np.maximum(values, floor).reshape(r, k, q)
    weights, traces = to_host(counts, trace)
    residual, noise, cost = noise_and_cost(weights, traces, values, d, floor)
    vectors = turned[..., :q, :]
    return Spectrum(weights, values, means, vectors, residual, noise, cost, d, sketch=turned)


def _host_ritz(
    sketch: Tensor, n: Tensor, means: Tensor, second: Tensor, q: int
) -> tuple[np.ndarray, Tensor]:
    """Eigenvalues (C, q) and next sketches of all components; see `ritz.rayleigh_ritz`."""
    from lowdim.mixture._subspace.ritz import rayleigh_ritz

    inputs = [part.contiguous().numpy() for part in (sketch, n, means, second)]
    values, turned = np.empty((len(sketch), q)), np.empty(sketch.shape)
    n_parts = min(torch.get_num_threads(), len(sketch)) if sketch.numel() > THREAD_VALUES else 1
    edges = np.linspace(0, len(sketch), n_parts + 1).astype(int)
    in_threads(
        lambda span: rayleigh_ritz(*(part[slice(*span)] for part in (*inputs, values, turned))),
        pairwise(edges),
    )
    return values, torch.from_numpy(turned)


def _device_ritz(
    sketch: Tensor, n: Tensor, means: Tensor, second: Tensor, q: int
) -> tuple[np.ndarray, Tensor]:
    """The same on an accelerator; the host finds the eigenpairs of the small matrices W S W'."""
    products = torch.baddbmm(  # W S
        second / n[:, None, None], sketch @ means[..., None], means[:, None], alpha=-1
    )
    (gram,) = to_host(products @ sketch.mT)
    values, vectors = leading_eigh(gram, q)
    rotation = to_device(vectors, sketch.device)
    axes, images = rotation @ sketch, rotation @ products
    residuals = images - (images @ axes.mT) @ axes
    return values, orthonormal_rows(torch.cat([axes, residuals], 1)[:, : sketch.shape[1]])


def reassigned_dims(cost: np.ndarray, dims: np.ndarray) -> np.ndarray:
    """Permute each restart's dimensions over its components to the least total cost.

    An exact joint M-step over axes and dimensions (Hungarian algorithm on ``cost``,
    (R, K, q + 1)); ties keep the present assignment, so that EM can converge.
    """
    if (dims == dims[:, :1]).all():
        return dims
    out = dims.copy()
    for r, row in enumerate(dims):
        table = cost[r][:, row]
        if not np.isfinite(table).all():
            continue
        slots = linear_sum_assignment(table)[1]
        gain = np.trace(table) - table[np.arange(len(row)), slots].sum()
        if gain > 1e-9 * np.abs(table).max():
            out[r] = row[slots]
    return out


def penalized_dims(cost: np.ndarray, penalty: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """The dimension of least cost plus penalty among the allowed ones, per component."""
    return np.where(allowed, cost + penalty, np.inf).argmin(-1)


def with_dims(
    parameters: SubspaceParameters, spectrum: Spectrum, dims: np.ndarray, total_weight: float
) -> SubspaceParameters:
    """Maximum-likelihood parameters for chosen dimensions."""
    table = spectrum.noise.reshape(dims.size, -1)
    noise = table[np.arange(dims.size), dims.ravel()].reshape(dims.shape)
    return SubspaceParameters.from_arrays(
        parameters.device,
        weights=spectrum.counts / total_weight,
        means=spectrum.means,
        bases=spectrum.vectors,
        latent=spectrum.values,
        noise=noise,
        dims=dims,
        log_volume=parameters.log_volume,
        sketch=spectrum.sketch,
        n_outside=parameters.n_outside,
    )


def pool_noise(
    parameters: SubspaceParameters,
    counts: np.ndarray,
    residual: np.ndarray,
    learned: tuple[np.ndarray, np.ndarray],
    floor: float,
) -> SubspaceParameters:
    """One noise variance shared by all components that learn theirs.

    Learned latent variances below the shared noise join it (the constrained maximum has
    lambda >= sigma^2), until none is left.

    Parameters
    ----------
    counts, residual : (R, K)
        Weight of each component, and variance outside its axes.
    learned : pair of (K,), bool
        Which components learn their noise, and which their latent variances.
    """
    learns_noise, learns_latent = learned
    n_columns = parameters.n_columns
    dims, latent = parameters.host("dims"), parameters.host("latent")
    weight = np.where(learns_noise, counts, 0.0)
    joins = parameters.inside & (learns_noise & learns_latent)[:, None]
    freedom = (weight * (n_columns - dims)).sum(-1, keepdims=True)
    left = np.where(dims < n_columns, weight * residual, 0.0).sum(-1, keepdims=True)
    # The pool takes in latent variances from the smallest up, until it lies below the next.
    flat = np.where(joins, latent, np.inf).reshape(len(latent), -1)
    order = flat.argsort(1)
    ascending = np.take_along_axis(flat, order, 1)
    owned = np.where(joins, weight[..., None], 0.0).reshape(len(latent), -1)
    owned = np.take_along_axis(owned, order, 1)
    gained = np.where(np.isinf(ascending), 0.0, ascending) * owned
    pools = (left + _cumulate(gained)) / np.maximum(freedom + _cumulate(owned), 1e-300)
    following = np.concatenate([ascending, np.full_like(ascending[:, :1], np.inf)], 1)
    first = (pools <= following).argmax(1)[:, None]
    shared = np.maximum(np.take_along_axis(pools, first, 1), floor)
    return SubspaceParameters.from_arrays(
        parameters.device,
        weights=parameters.host("weights"),
        means=parameters.means,
        bases=parameters.bases,
        latent=np.where(joins, np.maximum(latent, shared[..., None]), latent),
        noise=np.where(learns_noise, shared, parameters.host("noise")),
        dims=dims,
        log_volume=parameters.log_volume,
        sketch=parameters.sketch,
        n_outside=parameters.n_outside,
    )


def _cumulate(values: np.ndarray) -> np.ndarray:
    """Running sums over the last axis, starting at zero."""
    out = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
    np.cumsum(values, -1, out=out[..., 1:])
    return out
