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

from lowdim._journal import Journal
from lowdim._results import StopReason
from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._em import EMOptions, EMResult
from lowdim.mixture._family import concatenate
from lowdim.mixture._subspace.family import SubspaceFamily
from lowdim.mixture._subspace.fit import reorder, run_restarts
from lowdim.mixture._subspace.moves import SPLITS, change_dim, closest_pairs, merge, split
from lowdim.mixture._subspace.parameters import SubspaceParameters
from lowdim.mixture._subspace.runs import Runs

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
    journal : Journal
        Where what was tried is kept, and what asks the search to end.
    report : callable
        Told what is being tried, and how many components the best so far has.
    history : list of (int, float)
        Number of components and BIC of every run so far.
    """

    family: SubspaceFamily
    data: StandardizedRows
    options: EMOptions
    strategies: list[str]
    journal: Journal
    report: Callable[[str], None] = field(default=lambda _: None)
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
            if since >= patience or self.journal.asked:
                break
        visited = sorted({len(dims) for dims in self.candidates})
        for k in reversed(visited):
            if k - 1 in visited and not self.journal.asked:
                self.report(f"merging to {k - 1}")
                self._shrink(k)

    def bic(self, dims: tuple[int, ...]) -> float:
        """BIC of the best mixture with these dimensions; infinite if degenerate."""
        candidate = self.candidates[dims]
        return self._bic(dims, candidate.log_likelihood, candidate.degenerate)

    def _bic(self, dims: tuple[int, ...], log_likelihood: float, degenerate: bool) -> float:
        if degenerate:
            return np.inf
        return self.free_parameters(dims) * np.log(self.data.total_weight) - 2 * log_likelihood

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
            if dims is None or dims in tried or self.journal.asked:
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
        like = starts[0]

        def run(journal: Journal) -> Runs:
            result = run_restarts(family, self.data, starts, options, journal=journal)
            return self._sifted(result)

        self._keep(self.journal.once(run, Runs.as_arrays, lambda kept: Runs.of_arrays(kept, like)))

    def _sifted(self, result: EMResult[SubspaceParameters]) -> Runs:
        """What the runs that did not fail came to, and the parameters of the best ones."""
        held, total_weight = self.family.n_held, self.data.total_weight
        sound = np.flatnonzero(np.isfinite(result.objective)).tolist()
        every = [
            canonical(result.parameters.select(torch.tensor([r], device=self.data.device)), held)
            for r in sound
        ]
        n_free = result.parameters.weights.shape[1] - held
        best: dict[tuple[int, ...], tuple[tuple[bool, float], int]] = {}
        runs = []
        for i, (r, p) in enumerate(zip(sound, every, strict=True)):
            dims = tuple(p.dims[0, :n_free].tolist())
            total = float(result.objective[r]) * total_weight
            rows = p.weights[0, :n_free] * total_weight
            enough = (2 * (p.dims[0, :n_free] + 1)).clamp(min=FEWEST_ROWS)
            small = n_free > 1 and bool((rows < enough).any())
            degenerate = bool(result.degenerate[r]) or small
            runs.append((dims, total, degenerate))
            known = self.candidates.get(dims)
            rank = (not degenerate, total)
            before = best[dims][0] if dims in best else None if known is None else _rank(known)
            if before is None or rank > before:
                best[dims] = rank, i
        kept = sorted(i for _, i in best.values())
        none = result.parameters.select(torch.zeros(0, dtype=torch.int64, device=self.data.device))
        return Runs(
            dims=np.array([run[0] for run in runs], dtype=np.int64).reshape(-1, n_free),
            log_likelihoods=np.array([run[1] for run in runs]),
            n_iter=result.n_iter[sound],
            converged=np.array([result.reasons[r] is StopReason.CONVERGED for r in sound], bool),
            degenerate=np.array([run[2] for run in runs], bool),
            traces=[result.traces[r].tolist() for r in sound],
            kept=np.array(kept, dtype=np.int64),
            parameters=concatenate([none, *(every[i] for i in kept)]),
        )

    def _keep(self, runs: Runs) -> None:
        every = [tuple(dims) for dims in runs.dims.tolist()]
        totals = runs.log_likelihoods.tolist()
        for dims, total, degenerate in zip(every, totals, runs.degenerate.tolist(), strict=True):
            self.history.append((len(dims), self._bic(dims, total, degenerate)))
        best = {every[r]: (place, r) for place, r in enumerate(runs.kept.tolist())}
        for dims in dict.fromkeys(every):
            if dims not in best:
                continue
            place, r = best[dims]
            known = self.candidates.get(dims)
            self.candidates[dims] = Candidate(
                parameters=runs.parameters.select(torch.tensor([place], device=self.data.device)),
                log_likelihood=totals[r],
                trace=np.array(runs.traces[r]),
                n_iter=int(runs.n_iter[r]),
                converged=bool(runs.converged[r]),
                degenerate=bool(runs.degenerate[r]),
                totals=known.totals if known else [],
            )
        for dims, total in zip(every, totals, strict=True):
            self.candidates[dims].totals.append(total)

    def polish(self, dims: tuple[int, ...]) -> Candidate:
        """Run the mixture on with its dimensions held, so that its trace is one of plain EM."""
        candidate = self.candidates[dims]
        family = replace(self.family, dim_penalty=None, reassign=False)
        start, journal = [candidate.parameters], self.journal
        result = run_restarts(family, self.data, start, self.options, journal=journal)
        if not np.isfinite(result.objective[0]) or result.degenerate[0]:
            return candidate
        return Candidate(
            parameters=result.parameters,
            log_likelihood=float(result.objective[0]) * self.data.total_weight,
            trace=result.traces[0],
            n_iter=int(result.n_iter[0]),
            converged=result.reasons[0] is StopReason.CONVERGED,
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
