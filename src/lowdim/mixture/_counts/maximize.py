"""The M-step of mixtures of count distributions, and the prior that it takes into account."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from lowdim._threads import in_threads
from lowdim.mixture._counts.matrix import Arrays, Counts, active_shares
from lowdim.mixture._counts.model import THREAD_WORK, Mixture, Sizes

KINDS = ("gene", "component", "global", "poisson")
#: The range of dispersions. At the least of them, variance and mean differ by a millionth of the
#: squared mean.
LEAST_NOISE, MOST_NOISE = 1e-6, 1e3
#: Newton steps on a dispersion that all genes share, and how often each is shortened.
NOISE_STEPS, SHORTER, LONGEST = 3, 5, 1.5


@dataclass(frozen=True)
class Prior:
    """What is known before the data.

    Attributes
    ----------
    strength : float
        Pseudo-cells of size factor 1 per gene and component, at the gene's mean.
    counts : ndarray of shape (D,)
        The genes' means.
    centres : ndarray of shape (D,)
        Where the normal prior on log phi has its centre.
    precision : float
        One by its variance; 0 for none.
    """

    strength: float
    counts: np.ndarray
    centres: np.ndarray
    precision: float = 0.0

    def log_density(self, model: Mixture) -> float:
        """Up to a constant: the pseudo-cells' log-likelihood ratio to their own mean, and log phi.

        ``-strength / 2`` times the deviance of the means from the gene's, and
        ``-precision / 2 (log phi - centre)^2`` for every dispersion.
        """
        value, own = 0.0, self.counts[:, None]
        if self.strength > 0:
            ratio = np.log(model.mean / own)
            if model.noise.any():
                grown = np.log1p(model.noise * model.mean) - np.log1p(model.noise * own)
                parts = own * (ratio - grown) - grown / model.noise
            else:
                parts = own * ratio - (model.mean - own)
            value += self.strength * float(parts.sum())
        if self.precision > 0:
            noise = model.noise if model.per_component else model.noise[:, :1]
            away = np.log(noise) - self.centres[:, None]
            value -= 0.5 * self.precision * float(np.square(away).sum())
        return value


@dataclass(frozen=True)
class MStep:
    """What an M-step needs beside the parameters: rows with shares of the components.

    Attributes
    ----------
    counts : Counts
    sizes : Sizes
    active : (pointer, component, share)
        Responsibilities that matter, times row weights.
    zeros : (sizes, nodes, weights)
        Size factors; nodes and weights of sums over all rows of a component, the pseudo-cells last.
    prior : Prior
    """

    counts: Counts
    sizes: Sizes
    active: Arrays
    zeros: Arrays
    prior: Prior

    @classmethod
    def of(cls, counts: Counts, sizes: Sizes, shares: np.ndarray, prior: Prior) -> MStep:
        """For responsibilities (N, K)."""
        weighted = shares * counts.weights[:, None]
        at_nodes = weighted.T @ sizes.nodes.matrix
        pseudo = np.full((len(at_nodes), 1), prior.strength)
        weights = np.ascontiguousarray(np.hstack([at_nodes, pseudo]))
        zeros = sizes.values, np.append(sizes.nodes.nodes, 1.0), weights
        return cls(counts, sizes, active_shares(shares, counts.weights), zeros, prior)

    def run(self, model: Mixture, *, means: bool = True, noise: bool = True) -> np.ndarray:
        """Change the genes of a model in place.

        Returns
        -------
        The objective's sum over genes and its first two derivatives in log phi, (3,); then the
        second derivatives for every gene and component, (D, K), flattened.
        """
        from lowdim.mixture._counts.genes import update_genes

        pointer = self.counts.columns[0]
        n_genes, n_components = model.mean.shape
        width = int(np.diff(pointer).max() * np.diff(self.active[0]).max()) + n_components
        prior = self.prior.strength, self.prior.counts, self.prior.centres, self.prior.precision
        plan = (model.per_component, means, noise, LEAST_NOISE, MOST_NOISE)
        bends = np.empty((n_genes, n_components))
        common = self.counts.columns, self.counts.tails, self.active, self.zeros, prior

        def work(span: tuple[int, int]) -> tuple[float, float, float]:
            return update_genes(span, *common, model.mean, model.noise, plan, bends, width)

        parts = in_threads(work, gene_parts(pointer))
        return np.append(np.sum(parts, 0), bends)


def maximize(step: MStep, model: Mixture, kind: str) -> Mixture:
    """Parameters of a higher expected log-likelihood plus log prior; mixing proportions aside."""
    model = model.copy()
    found = step.run(model, noise=kind in ("gene", "component"))
    if kind == "global":
        model = _common_noise(step, model, found)
    return model


def proportions(shares: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mixing proportions, (K,)."""
    owned = weights @ shares
    return np.asarray(owned / owned.sum())


def curvatures(step: MStep, model: Mixture) -> np.ndarray:
    """Minus the second derivative of the objective in each log phi, (D, K)."""
    found = step.run(model.copy(), means=False, noise=False)[3:]
    return -found.reshape(model.mean.shape)


def _common_noise(step: MStep, model: Mixture, found: np.ndarray) -> Mixture:
    """Newton steps on the log of a dispersion that all genes share; none leads down."""
    phi = float(model.noise[0, 0])
    for _ in range(NOISE_STEPS):
        value, slope, bend = found[:3]
        change = -slope / bend if bend < 0 else np.sign(slope) * LONGEST
        change = float(np.clip(change, -LONGEST, LONGEST))
        for _ in range(SHORTER):
            other = float(np.clip(phi * np.exp(change), LEAST_NOISE, MOST_NOISE))
            tried = replace(model, noise=np.full_like(model.noise, other))
            result = step.run(tried, means=False, noise=False)
            if other != phi and result[0] >= value:
                phi, model, found = other, tried, result
                break
            change *= 0.25
        else:
            return model
    return model


def gene_parts(pointer: np.ndarray) -> list[tuple[int, int]]:
    """Genes in spans of about as many stored counts, one per thread."""
    import torch

    n_parts = max(1, min(torch.get_num_threads(), int(pointer[-1]) // THREAD_WORK))
    edges = np.searchsorted(pointer, np.linspace(0, pointer[-1], n_parts + 1)[1:-1])
    return list(pairwise([0, *edges.tolist(), len(pointer) - 1]))
