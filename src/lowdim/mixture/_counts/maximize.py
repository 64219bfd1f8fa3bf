"""The M-step of mixtures of count distributions, and the prior that it takes into account."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from lowdim._threads import in_threads
from lowdim.mixture._counts.matrix import CountTable, Listed
from lowdim.mixture._counts.model import THREAD_WORK, Mixture

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
    count : float
        Counts of the gamma prior on every mean; 0 for none.
    means : ndarray of shape (D,)
        The genes' means, where that prior has its mode.
    centres : ndarray of shape (D,)
        Where the normal prior on log phi has its centre.
    precision : float
        One by its variance; 0 for none.
    """

    count: float
    means: np.ndarray
    centres: np.ndarray
    precision: float = 0.0

    @property
    def exposures(self) -> np.ndarray:
        """Size factors of the rows in which the prior's counts were seen, so to say, (D,)."""
        return self.count / self.means

    def log_density(self, model: Mixture) -> float:
        """Up to a constant, which makes it zero where means and phi are at their centres.

        ``count (log(mu / m) - mu / m + 1)`` for every mean, and
        ``-precision / 2 (log phi - centre)^2`` for every dispersion.
        """
        ratio = model.mean / self.means[:, None]
        value = self.count * float((np.log(ratio) - ratio + 1.0).sum())
        if self.precision > 0:
            noise = model.noise if model.per_component else model.noise[:, :1]
            away = np.log(noise) - self.centres[:, None]
            value -= 0.5 * self.precision * float(np.square(away).sum())
        return value


@dataclass(frozen=True)
class NodeSums:
    """Sums over the rows of each component, at the nodes of their size factors.

    Sums of functions of the size factors are sums over the nodes (`_counts/chebyshev.py`). So these
    numbers say all that the M-step needs to know of the rows.

    Attributes
    ----------
    held : ndarray of shape (K, D, M)
        ``sum_i r_ik x_ig`` at the nodes.
    owned : ndarray of shape (K, M)
        ``sum_i r_ik`` at the nodes.
    active : (pointer, component, share)
        Weighted responsibilities for what the columns of the counts name; none where components
        share phi.
    """

    held: np.ndarray
    owned: np.ndarray
    active: Listed


@dataclass(frozen=True)
class MStep:
    """What an M-step needs beside the parameters.

    Attributes
    ----------
    nodes : ndarray of shape (M,)
        Size factors.
    counts : CountTable
        It is asked for its columns and tails.
    prior : Prior
    sums : NodeSums
    """

    nodes: np.ndarray
    counts: CountTable
    prior: Prior
    sums: NodeSums

    def run(self, model: Mixture, *, means: bool = True, noise: bool = True) -> np.ndarray:
        """Change the genes of a model in place.

        Returns
        -------
        The objective's sum over genes and, unless `noise`, its first two derivatives in log phi,
        (3,); then the second derivatives for every gene and component, (D, K), flattened.
        """
        from lowdim.mixture._counts.genes import update_genes

        n_genes, n_components = model.mean.shape
        sums = self.sums
        stored = self.nodes, sums.held, sums.owned
        prior = self.prior.count, self.prior.exposures, self.prior.centres, self.prior.precision
        plan = (model.per_component, means, noise, LEAST_NOISE, MOST_NOISE)
        bends = np.zeros((n_genes, n_components))
        common = stored, self.counts.tails, self.counts.columns, sums.active, prior

        def work(span: tuple[int, int]) -> tuple[float, float, float]:
            return update_genes(span, *common, model.mean, model.noise, plan, bends)

        parts = in_threads(work, gene_parts(n_genes, sums.held.size))
        return np.append(np.sum(parts, 0), bends)


def maximize(step: MStep, model: Mixture, kind: str) -> Mixture:
    """Parameters of a higher expected log-likelihood plus log prior; mixing proportions aside."""
    model = model.copy()
    found = step.run(model, noise=kind in ("gene", "component"))
    if kind == "global":
        model = _common_noise(step, model, found)
    return model


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


def gene_parts(n_genes: int, work: int) -> list[tuple[int, int]]:
    """Genes in spans, one per thread."""
    return spans(n_genes, work // THREAD_WORK)


def spans(n: int, worth: int) -> list[tuple[int, int]]:
    """So many things in spans, one per thread, and no more than the work is worth."""
    import torch

    n_parts = max(1, min(torch.get_num_threads(), worth, n))
    edges = [n * part // n_parts for part in range(n_parts + 1)]
    return list(pairwise(edges))
