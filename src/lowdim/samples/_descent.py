"""Gradient descent on a map, with batches of samples and a memory of the best map."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from lowdim.samples._map_objective import Loss, MapObjective

#: Decay of the moments of gradients (Kingma and Ba 2015).
FIRST, SECOND = 0.9, 0.999
#: Losses that fall by a smaller share of themselves count as not falling.
IMPROVEMENT = 1e-4


class Steps:
    """Adam's steps with Nesterov's look ahead, with one scale for all entries.

    A scale for every entry, as Adam has it, would make the course depend on the axes in which the
    data are written (Kingma and Ba 2015, Adam; Dozat 2016, Incorporating Nesterov momentum into
    Adam). Early steps change an entry by `rate` on average.
    """

    def __init__(self, rate: float) -> None:
        self.rate, self.n_steps = rate, 0
        self.mean, self.square = np.zeros(()), 0.0

    def next(self, gradient: np.ndarray) -> np.ndarray:
        """What to subtract."""
        self.n_steps += 1
        self.mean = FIRST * self.mean + (1 - FIRST) * gradient
        self.square = SECOND * self.square + (1 - SECOND) * float((gradient**2).mean())
        ahead = FIRST * self.mean / (1 - FIRST ** (self.n_steps + 1))
        ahead = ahead + (1 - FIRST) * gradient / (1 - FIRST**self.n_steps)
        size = np.sqrt(self.square / (1 - SECOND**self.n_steps))
        return np.asarray(self.rate * ahead / max(size, np.finfo(float).tiny))


@dataclass(frozen=True)
class Plan:
    """How to descend.

    Attributes
    ----------
    train, validation : (n,)
        Numbers of samples, ascending.
    rate : float
    max_iter : int
        Epochs.
    tol : float
        Stop when the gradient is no longer than this.
    patience : int or None
        Stop after so many epochs without a lower loss.
    batch_size : int or None
        Samples of a step.
    """

    train: np.ndarray
    validation: np.ndarray
    rate: float
    max_iter: int
    tol: float
    patience: int | None
    batch_size: int | None


@dataclass
class Course:
    """The way of a descent.

    Attributes
    ----------
    best : (r, D)
        The map with the lowest loss, of the samples held out if there are any.
    score : float
        Its loss.
    epochs : list of Loss
        Of the start and after every epoch; of batches, their means while the map moves.
    stopped : str
        "gradient", "plateau" or "limit".
    """

    best: np.ndarray
    score: float = np.inf
    epochs: list[Loss] = field(default_factory=list)
    stopped: str = "limit"


def descend(
    objective: MapObjective,
    W: np.ndarray,
    plan: Plan,
    rng: np.random.Generator,
    report: Callable[[int, float], None] | None = None,
) -> Course:
    """Descend from a map W, (r, D).

    Raises
    ------
    ValueError
        No batch has triplets.
    """
    steps, course, since = Steps(plan.rate), Course(W), 0
    for epoch in range(plan.max_iter + 1):
        moves = epoch < plan.max_iter
        before, losses = W, []
        for samples in _batches(objective.labels, plan, rng):
            loss = objective.of(W, samples)
            if loss is None:
                continue
            losses.append(loss)
            if moves:
                W = W - steps.next(loss.gradient)
        if not losses:
            raise ValueError(
                f"batch_size={plan.batch_size} is too small: no batch had two samples of one label "
                "and one of another."
            )
        found = _mean(losses)
        if len(losses) > 1:
            before = W  # the losses of batches tell of no map in particular: take the last one
        if len(plan.validation):
            held_out = objective.held_out(before, plan.validation, plan.train)
            found = replace(found, validation=held_out)
        course.epochs.append(found)
        score = found.validation if len(plan.validation) else found.loss
        since = 0 if score < course.score * (1 - IMPROVEMENT) else since + 1
        if score < course.score or epoch == 0:
            course.best, course.score = before, score
        if report is not None and moves:
            report(epoch, found.loss)
        if np.linalg.norm(found.gradient) <= plan.tol:
            course.stopped = "gradient"
            break
        if plan.patience is not None and since >= plan.patience:
            course.stopped = "plateau"
            break
    return course


def _batches(labels: np.ndarray, plan: Plan, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """All samples, or parts in which labels have about the shares that they have in all."""
    n = len(plan.train)
    if plan.batch_size is None or plan.batch_size >= n:
        yield plan.train
        return
    shuffled = rng.permutation(plan.train)
    place = np.empty(n)
    for label in np.unique(labels[shuffled]):
        own = np.flatnonzero(labels[shuffled] == label)
        place[own] = (np.arange(len(own)) + rng.random()) / len(own)
    n_parts = -(-n // plan.batch_size)
    for part in np.array_split(shuffled[np.argsort(place)], n_parts):
        yield np.sort(part)


def _mean(losses: list[Loss]) -> Loss:
    """Of the batches of an epoch."""
    if len(losses) == 1:
        return losses[0]
    names = ("loss", "hinge", "penalty", "active")
    means = {name: float(np.mean([getattr(loss, name) for loss in losses])) for name in names}
    return Loss(**means, gradient=np.mean([loss.gradient for loss in losses], axis=0))
