"""Gradient descent on a map, with batches of samples and a memory of the best map."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from lowdim._checkpoint import Arrays
from lowdim._journal import Journal
from lowdim._validation import check_interval, check_positive_int
from lowdim.samples._map_objective import Loss, MapObjective
from lowdim.samples._training_samples import train_and_validation

#: Decay of the moments of gradients (Kingma and Ba 2015).
FIRST, SECOND = 0.9, 0.999
INTERRUPTED = "interrupted"
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

    @classmethod
    def of(cls, model: Any, labels: np.ndarray, rng: np.random.Generator) -> Plan:
        """That of an estimator, for samples with such labels.

        Raises
        ------
        TypeError, ValueError
            One of its parameters cannot be used.
        """
        share = check_interval(
            model.validation_fraction, "validation_fraction", low=0.0, high=1.0, closed="left"
        )
        train, validation = train_and_validation(labels, share, rng)
        patience, size = model.n_iter_no_change, model.batch_size
        return cls(
            train,
            validation,
            check_interval(model.lr, "lr", low=0.0, closed="neither"),
            check_positive_int(model.max_iter, "max_iter"),
            check_interval(model.tol, "tol", low=0.0),
            None if patience is None else check_positive_int(patience, "n_iter_no_change"),
            None if size is None else check_positive_int(size, "batch_size", minimum=3),
        )


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
        "gradient", "plateau", "limit" or "interrupted".
    """

    best: np.ndarray
    score: float = np.inf
    epochs: list[Loss] = field(default_factory=list)
    stopped: str = "limit"

    def state(self) -> Arrays:
        """For the file that a long fit is kept in."""
        names = [own.name for own in fields(Loss)]
        columns = {name: np.array([getattr(one, name) for one in self.epochs]) for name in names}
        return {
            "best": self.best,
            "score": np.array(self.score),
            "stopped": np.array([self.stopped], dtype=object),
            **{f"epochs.{name}": column for name, column in columns.items()},
        }

    @classmethod
    def of_state(cls, state: Arrays) -> Course:
        """The inverse of `state`."""
        names = [own.name for own in fields(Loss)]
        columns = [state[f"epochs.{name}"] for name in names]
        rows: list[dict[str, Any]] = [
            {n: own if np.ndim(own) else float(own) for n, own in zip(names, row, strict=True)}
            for row in zip(*columns, strict=True)
        ]
        epochs = [Loss(**row) for row in rows]
        return cls(state["best"], float(state["score"]), epochs, str(state["stopped"][0]))


@dataclass
class Place:
    """Where a descent is between two epochs.

    Attributes
    ----------
    map : (r, D)
    steps : Steps
    course : Course
    since : int
        Epochs since the loss has fallen.
    """

    map: np.ndarray
    steps: Steps
    course: Course
    since: int = 0

    def state(self, objective: MapObjective) -> Arrays:
        """For the file that a long fit is kept in, with the plans that the next epoch mends."""
        steps, plans = self.steps, objective.transport.plans
        return {
            "map": self.map,
            "since": np.array(self.since),
            "n_steps": np.array(steps.n_steps),
            "moments.mean": np.array(steps.mean),
            "moments.square": np.array(steps.square),
            "plans_found": np.array(objective.plans_found),
            **self.course.state(),
            **({} if plans is None else plans.state()),
        }

    def take(self, state: Arrays, objective: MapObjective) -> None:
        """Put in its place what `state` returned."""
        steps, plans = self.steps, objective.transport.plans
        self.map, self.since = state["map"], int(state["since"])
        steps.n_steps, steps.mean = int(state["n_steps"]), state["moments.mean"]
        steps.square = float(state["moments.square"])
        objective.plans_found = bool(state["plans_found"])
        self.course = Course.of_state(state)
        if plans is not None:
            plans.take(state)


def descend_from_all(
    objective: MapObjective,
    starts: list[np.ndarray],
    plan: Plan,
    journal: Journal,
    report: Callable[[int, float], None] | None = None,
) -> list[Course]:
    """Descend from one map after the other, or go on from where a journal has the descents.

    Those that were not begun when the fit was asked to end are left out.
    """
    courses: list[Course] = []
    for W in starts:
        if not journal.asked:
            courses.append(_once(objective, W, plan, journal, report))
    return courses


def _once(
    objective: MapObjective,
    W: np.ndarray,
    plan: Plan,
    journal: Journal,
    report: Callable[[int, float], None] | None,
) -> Course:
    """A descent, or what the journal has of it."""

    def pack(course: Course) -> Arrays:
        return {**course.state(), "plans_found": np.array(objective.plans_found)}

    def unpack(arrays: Arrays) -> Course:
        objective.plans_found = bool(arrays["plans_found"])
        return Course.of_state(arrays)

    return journal.once(lambda own: descend(objective, W, plan, own, report), pack, unpack)


def descend(
    objective: MapObjective,
    W: np.ndarray,
    plan: Plan,
    journal: Journal,
    report: Callable[[int, float], None] | None = None,
) -> Course:
    """Descend from a map W, (r, D), or go on from where a journal has the descent.

    Raises
    ------
    ValueError
        No batch has triplets.
    """
    place, stage = Place(W, Steps(plan.rate), Course(W)), journal.stage()
    if objective.transport.plans is not None:
        objective.transport.plans.forget()  # those of another start
    if stage.kept is not None:
        place.take(stage.kept, objective)
    course = place.course
    for epoch in range(len(course.epochs), plan.max_iter + 1):
        moves = epoch < plan.max_iter
        before, found = _epoch(objective, place, plan, journal.rng, moves=moves)
        course.epochs.append(found)
        score = found.validation if len(plan.validation) else found.loss
        place.since = 0 if score < course.score * (1 - IMPROVEMENT) else place.since + 1
        if score < course.score or epoch == 0:
            course.best, course.score = before, score
        if report is not None and moves:
            report(epoch, found.loss)
        if np.linalg.norm(found.gradient) <= plan.tol:
            course.stopped = "gradient"
            break
        if plan.patience is not None and place.since >= plan.patience:
            course.stopped = "plateau"
            break
        stage.keep(lambda: place.state(objective))
        if stage.asked and moves:
            stage.close(lambda: place.state(objective))
            course.stopped = INTERRUPTED
            break
    return course


def _epoch(
    objective: MapObjective, place: Place, plan: Plan, rng: np.random.Generator, *, moves: bool
) -> tuple[np.ndarray, Loss]:
    """Move the map by all batches; the map that the loss is told of, and the loss."""
    before, losses = place.map, []
    for samples in _batches(objective.labels, plan, rng):
        loss = objective.of(place.map, samples)
        if loss is None:
            continue
        losses.append(loss)
        if moves:
            place.map = place.map - place.steps.next(loss.gradient)
    if not losses:
        raise ValueError(
            f"batch_size={plan.batch_size} is too small: no batch had two samples of one label "
            "and one of another."
        )
    found = _mean(losses)
    if len(losses) > 1:
        before = place.map  # the losses of batches tell of no map in particular: take the last one
    if len(plan.validation):
        held_out = objective.held_out(before, plan.validation, plan.train)
        found = replace(found, validation=held_out)
    return before, found


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
