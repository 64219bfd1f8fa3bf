"""Search over the number of components and their dimensions.

For each K, EM with penalised dimensions (each M-step picks d_k by BIC) runs from fresh starts and
from splits of the best smaller mixture; then single dimensions are moved by one, and on the way
back down the best larger mixture's closest pairs are merged. Every mixture that was reached is
kept, best of its list of dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._em import EMOptions, EMResult
from lowdim.mixture._subspace.family import SubspaceFamily
from lowdim.mixture._subspace.fit import reorder, run_restarts
from lowdim.mixture._subspace.moves import SPLITS, change_dim, closest_pairs, merge, split
from lowdim.mixture._subspace.parameters import SubspaceParameters

#: Two runs agree when their total log-likelihoods differ by less than this share (or 0.1 nats).
AGREEMENT = 1e-5
#: Whatever its dimension, a component of fewer rows than this may be a chance cluster.
FEWEST_ROWS = 5


@dataclass
class Candidate:
    """The best mixture found with one list of dimensions.

    Attributes
    ----------
    parameters : SubspaceParameters
        A batch of one, components by decreasing dimension, then weight; held ones last.
    log_likelihood : float
        Total, standardised units.
    totals : list of float
        Of every run that ended with these dimensions.
    trace : ndarray
    degenerate : bool
    """

    parameters: SubspaceParameters
    log_likelihood: float
    trace: np.ndarray
    n_iter: int
    converged: bool
    degenerate: bool
    totals: list[float] = field(default_factory=list)

    @property
    def restarts_agreeing(self) -> int:
        within = max(0.1, AGREEMENT * abs(self.log_likelihood))
        return sum(abs(total - self.log_likelihood) < within for total in self.totals)


@dataclass
class Search:
    """A search in progress.

    Attributes
    ----------
    family : SubspaceFamily
        With `dim_penalty` and `allowed_dims` set.
    data : StandardizedRows
    options : EMOptions
    strategies : list of str
        The kind of each fresh start per number of components.
    report : callable
        Told what is being tried, and how many components the best so far has.
    history : list of (int, float)
        Number of components and BIC of every run so far.
    """

    family: SubspaceFamily
    data: StandardizedRows
    options: EMOptions
    strategies: list[str]
    report: Callable[[str], None]
    candidates: dict[tuple[int, ...], Candidate] = field(default_factory=dict)
    history: list[tuple[int, float]] = field(default_factory=list)

    def run(self, sizes: list[int], patience: int) -> None:
        """Visit every number of components, or stop after ``patience`` without improvement."""
        best, since = np.inf, 0
        for k in sizes:
            self.report(f"{k} components")
            self._grow(k)
            self._move_dims(k)
            value = self.best_value(k)
            since = 0 if value < best else since + 1
            best = min(best, value)
            if since >= patience:
                break
        visited = sorted({len(dims) for dims in self.candidates})
        for k in reversed(visited):
            if k - 1 in visited:
                self.report(f"merging to {k - 1}")
                self._shrink(k)

    def bic(self, dims: tuple[int, ...]) -> float:
        """BIC of the best mixture with these dimensions; infinite if degenerate."""
        return self._bic(dims, self.candidates[dims])

    def _bic(self, dims: tuple[int, ...], candidate: Candidate) -> float:
        if candidate.degenerate:
            return np.inf
        n = self.free_parameters(dims)
        return n * np.log(self.data.total_weight) - 2 * candidate.log_likelihood

    def free_parameters(self, dims: tuple[int, ...]) -> int:
        """Parameters of learned components and weights (held components add a constant)."""
        d_all = self.data.n_columns
        own = sum(d_all * (d + 1) - d * (d - 1) // 2 for d in dims)
        noises = sum(d < d_all for d in dims)
        if self.family.shared_noise:
            noises = min(noises, 1)
        return own + noises + len(dims) + self.family.n_held - 1

    def best(self, k: int) -> tuple[int, ...] | None:
        """Dimensions of the best mixture of k components."""
        own = [dims for dims in self.candidates if len(dims) == k]
        return min(own, key=self.bic) if own else None

    def best_value(self, k: int) -> float:
        dims = self.best(k)
        return np.inf if dims is None else self.bic(dims)

    # Moves ------------------------------------------------------------------------------------

    def _grow(self, k: int) -> None:
        starter, allowed = self.family.starter, self.family.allowed_dims
        dims = torch.from_numpy(starter.rng.choice(allowed, size=(len(self.strategies), k)))
        fresh = starter.start(self.strategies, dims.to(self.data.device))
        starts = [self.family.with_held(fresh)]
        parent = self.best(k - 1)
        if parent is not None:
            p = self.candidates[parent].parameters
            for j in range(k - 1):
                kinds = SPLITS if p.bases.shape[2] > 1 else ("along", "scale")
                starts += [split(p, j, kind, self.family.n_held) for kind in kinds]
        self._try(starts, self.family)

    def _move_dims(self, k: int) -> None:
        """Move one dimension by one at a time as long as that helps."""
        allowed = sorted(self.family.allowed_dims)
        tried: set[tuple[int, ...]] = set()
        for _ in range(2 * k):
            dims = self.best(k)
            if dims is None or dims in tried:
                return
            tried.add(dims)
            p = self.candidates[dims].parameters
            starts = []
            for j in range(k):
                place = allowed.index(dims[j])
                for d in allowed[max(place - 1, 0) : place + 2]:
                    moved = tuple(sorted((*dims[:j], d, *dims[j + 1 :]), reverse=True))
                    if d != dims[j] and moved not in self.candidates:
                        starts.append(change_dim(p, j, d))
            if starts:
                self._try(starts, replace(self.family, dim_penalty=None, reassign=True))

    def _shrink(self, k: int) -> None:
        dims = self.best(k)
        if dims is None:
            return
        p = self.candidates[dims].parameters
        pairs = closest_pairs(p, k, 2 * k)
        self._try([merge(p, i, j) for i, j in pairs], self.family)

    def _try(self, starts: list[SubspaceParameters], family: SubspaceFamily) -> None:
        options = replace(self.options, prune=False)  # dimensions, so objectives, differ
        self._keep(run_restarts(family, self.data, starts, options))

    def _keep(self, result: EMResult[SubspaceParameters]) -> None:
        for r in range(result.parameters.n_restarts):
            if not np.isfinite(result.objective[r]):
                continue
            p = canonical(
                result.parameters.select(torch.tensor([r], device=self.data.device)),
                self.family.n_held,
            )
            n_free = p.weights.shape[1] - self.family.n_held
            dims = tuple(p.dims[0, :n_free].tolist())
            total = float(result.objective[r]) * self.data.total_weight
            rows = p.weights[0, :n_free] * self.data.total_weight
            enough = (2 * (p.dims[0, :n_free] + 1)).clamp(min=FEWEST_ROWS)
            small = n_free > 1 and bool((rows < enough).any())
            found = Candidate(
                parameters=p,
                log_likelihood=total,
                trace=result.traces[r],
                n_iter=int(result.n_iter[r]),
                converged=result.reasons[r].value == "converged",
                degenerate=bool(result.degenerate[r]) or small,
            )
            self.history.append((n_free, self._bic(dims, found)))
            known = self.candidates.get(dims)
            found.totals = [*(known.totals if known else []), total]
            if known is None or _rank(found) > _rank(known):
                self.candidates[dims] = found
            else:
                known.totals = found.totals

    def polish(self, dims: tuple[int, ...]) -> Candidate:
        """Run the mixture on with its dimensions held, so that its trace is one of plain EM."""
        candidate = self.candidates[dims]
        family = replace(self.family, dim_penalty=None, reassign=False)
        result = run_restarts(family, self.data, [candidate.parameters], self.options)
        if not np.isfinite(result.objective[0]) or result.degenerate[0]:
            return candidate
        return Candidate(
            parameters=result.parameters,
            log_likelihood=float(result.objective[0]) * self.data.total_weight,
            trace=result.traces[0],
            n_iter=int(result.n_iter[0]),
            converged=result.reasons[0].value == "converged",
            degenerate=candidate.degenerate,
            totals=candidate.totals,
        )


def _rank(candidate: Candidate) -> tuple[bool, float]:
    return not candidate.degenerate, candidate.log_likelihood


def canonical(parameters: SubspaceParameters, n_held: int) -> SubspaceParameters:
    """Learned components by decreasing dimension, then weight."""
    n_free = parameters.weights.shape[1] - n_held
    dims = parameters.dims[0, :n_free].cpu().numpy()
    weights = parameters.weights[0, :n_free].cpu().numpy()
    order = np.lexsort((-weights, -dims)).tolist()
    return reorder(parameters, [*order, *range(n_free, n_free + n_held)])
