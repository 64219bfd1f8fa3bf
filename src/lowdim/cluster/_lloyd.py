"""Lloyd's algorithm: to the nearest centroid, to the mean, and again.

k-means has this loop of its own beside `run_em`: its steps take so little that what a general
loop costs per step would count, and rows that need no second look are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from weakref import WeakKeyDictionary

import numpy as np
import torch

from lowdim._checkpoint import Arrays
from lowdim._device import to_host
from lowdim._journal import Journal
from lowdim._results import StopReason
from lowdim.cluster._assignment import Assignment
from lowdim.cluster._family import CentroidFamily, Centroids
from lowdim.data.blocks import Block, Rows
from lowdim.mixture._checkpoint import (
    reasons_as_array,
    reasons_of,
    traces_as_arrays,
    traces_of,
)
from lowdim.mixture._em import MAX_RESEEDS, PATIENCE, WARM_UP, EMResult, expectation

Report = Callable[[int, float], None]


#: What is known of every restart.
OF_RESTARTS = (
    "active", "means", "weights", "final_means", "final_weights", "objective", "n_iter",
    "reseeds", "starved",
)  # fmt: skip


class NearestSums:
    """One pass over the rows per call: weight, sums and objective of the rows nearest to each.

    Blocks that are kept between passes keep what is known of their rows.
    """

    def __init__(self, family: CentroidFamily, data: Rows) -> None:
        self.family, self.data = family, data
        self.known: WeakKeyDictionary[Block, Assignment] = WeakKeyDictionary()
        self.earlier: dict[int, Arrays] = {}  # what was known of the block that begins there

    def state(self) -> Arrays:
        """What is known of all blocks."""
        return {
            f"block{block.start}.{name}": array
            for block, found in self.known.items()
            for name, array in found.state().items()
        }

    def restore(self, state: Arrays) -> None:
        """Know of blocks that are kept what was known of them before."""
        for key, array in state.items():
            place, _, name = key.partition(".")
            if place.startswith("block"):
                self.earlier.setdefault(int(place.removeprefix("block")), {})[name] = array

    def __call__(self, means: np.ndarray) -> Sequence[np.ndarray]:
        """Counts (R, K), sums (R, K, D) and minus the mean squared distances, (R,)."""
        if not self.data.local:
            counts, sums, objective = self.data.total(partial(_nearest_sums, means))
            return counts, sums, objective / self.data.total_weight
        if self.data.device.type != "cpu":
            found = expectation(self.family, self.data, self.family.parameters(means), "closest")
            return to_host(found[0]["counts"], found[0]["sums"], found[1])
        parts = [self._of_block(block, means) for block in self.data]
        counts, sums, objective = (reduce(np.add, values) for values in zip(*parts, strict=True))
        return counts, sums, objective / self.data.total_weight

    def _of_block(self, block: Block, means: np.ndarray) -> tuple[np.ndarray, ...]:
        found = self.known.get(block)
        if found is None:
            earlier = self.earlier.pop(block.start, None)
            found = self.known[block] = Assignment(block, means, earlier)
        else:
            found.move(means)
        return found.sums()


def _nearest_sums(means: np.ndarray, block: Block) -> tuple[np.ndarray, ...]:
    """The same of a block of which nothing is known."""
    return Assignment(block, means).sums()


def lloyd(
    family: CentroidFamily,
    data: Rows,
    means: np.ndarray,
    *,
    max_iter: int,
    tol: float,
    report: Report | None = None,
    journal: Journal | None = None,
) -> EMResult[Centroids]:
    """Iterate all restarts, (R, K, D), until each has stopped for a reason of its own.

    One that has converged moves by no more than `tol`, summed over squared distances; one that a
    converged one has left far behind is given up. They share each pass over the rows. They go on
    from where the journal has them, and stop where it is asked to end.
    """
    journal = journal or Journal()
    runs, stage = _Runs(family, data, means), journal.stage()
    if stage.kept is not None:
        runs.restore(stage.kept)
    while runs.iteration < max_iter and len(runs.active) and not journal.asked:
        runs.step(tol)
        if report is not None:
            report(runs.iteration, float(runs.objective.max()))
        stage.keep(runs.state)
    stage.close(runs.state)
    return runs.result(StopReason.INTERRUPTED if journal.asked else StopReason.ITERATION_LIMIT)


class _Runs:
    """Restarts on their way; `means` and `weights` are of the active ones."""

    def __init__(self, family: CentroidFamily, data: Rows, means: np.ndarray) -> None:
        n = len(means)
        self.family, self.sums = family, NearestSums(family, data)
        self.active, self.means, self.weights = np.arange(n), means, np.ones(means.shape[:2])
        self.final_means, self.final_weights = means.copy(), self.weights.copy()
        self.objective, self.best = np.full(n, -np.inf), -np.inf
        self.traces: list[list[float]] = [[] for _ in range(n)]
        self.reasons = [StopReason.ITERATION_LIMIT] * n
        self.n_iter, self.reseeds = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self.starved, self.iteration = np.zeros(n, bool), 0

    def step(self, tol: float) -> None:
        """One pass: new means, a new place for empty clusters, and an end for some restarts."""
        self.iteration += 1
        counts, sums, value = self.sums(self.means)
        self.n_iter[self.active] += 1
        gain = value - self.objective[self.active]
        self._record(value)
        empty = counts <= 0
        reseeded = np.zeros(len(self.active), bool)
        if empty.any():
            updated = np.where(empty[..., None], self.means, sums / (counts + empty)[..., None])
            reseeded = self._reseed(counts, updated, empty)
        else:
            updated = sums / counts[..., None]
        going = (np.square(updated - self.means).sum((1, 2)) > tol) | reseeded
        if not going.all():
            self._retire(~going, StopReason.CONVERGED)
        if self.iteration > WARM_UP and self.best > -np.inf:
            behind = value + PATIENCE * np.maximum(gain, 0) < self.best
            self._retire(going & behind & ~reseeded, StopReason.OUTPACED)
            going &= ~behind | reseeded
        self.means, self.weights = updated, counts
        if not going.all():
            self.active = self.active[going]
            self.means, self.weights = updated[going], counts[going]

    def state(self) -> Arrays:
        """Where all restarts are."""
        state = {name: getattr(self, name).copy() for name in OF_RESTARTS}
        state |= {name: np.array(getattr(self, name)) for name in ("iteration", "best")}
        state |= {"reasons": reasons_as_array(self.reasons), **traces_as_arrays(self.traces)}
        return state | self.sums.state()

    def restore(self, state: Arrays) -> None:
        """Be where others were."""
        for name in OF_RESTARTS:
            setattr(self, name, state[name].copy())
        for name in ("iteration", "best"):
            setattr(self, name, state[name].item())
        self.reasons, self.traces = reasons_of(state), traces_of(state)
        self.sums.restore(state)

    def _record(self, value: np.ndarray) -> None:
        self.objective[self.active] = value
        for r, own in zip(self.active.tolist(), value.tolist(), strict=True):
            self.traces[r].append(own)

    def _reseed(self, counts: np.ndarray, updated: np.ndarray, empty: np.ndarray) -> np.ndarray:
        """Put empty clusters elsewhere, in place, where that was not tried too often; which."""
        dying = empty.any(1)
        chosen = dying & (self.reseeds[self.active] < MAX_RESEEDS)
        self.starved[self.active] = dying & ~chosen
        if chosen.any():
            now = self.family.parameters(updated, counts)
            dead = torch.from_numpy(empty & chosen[:, None])
            updated[:] = self.family.reseed(now, dead).means.cpu().numpy()
        for r in self.active[chosen]:  # a new start, so a new trace
            self.reseeds[r] += 1
            self.objective[r] = -np.inf
            self.traces[r].clear()
        return chosen

    def _retire(self, mask: np.ndarray, reason: StopReason) -> None:
        for position in np.flatnonzero(mask):
            r = self.active[position]
            self.final_means[r] = self.means[position]
            self.final_weights[r] = self.weights[position]
            self.reasons[r] = reason
            if reason is StopReason.CONVERGED and not self.starved[r]:
                self.best = max(self.best, self.objective[r])

    def result(self, reason: StopReason) -> EMResult[Centroids]:
        """What all restarts came to; `reason` is why those that are still active stop."""
        if len(self.active):  # what the last step led to has not been looked at
            self._record(self.sums(self.means)[2])
            self._retire(np.ones(len(self.active), bool), reason)
        return EMResult(
            parameters=self.family.parameters(self.final_means, self.final_weights),
            objective=self.objective,
            traces=[np.array(trace) for trace in self.traces],
            n_iter=self.n_iter,
            reasons=self.reasons,
            degenerate=self.starved,
        )
