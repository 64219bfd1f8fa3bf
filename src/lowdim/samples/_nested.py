"""Nested cross-validation of one labelling of the samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lowdim._checkpoint import facts_of
from lowdim._validation import check_in, check_positive_int
from lowdim.mixture._jobs import check_no_checkpoint
from lowdim.samples._candidates import Candidates, among, between, to_split
from lowdim.samples._folds import Fold, check_groups, check_labels, inner_folds, outer_folds
from lowdim.samples._neighbours import (
    SCORINGS,
    at_most,
    cluster_scores,
    prediction_scores,
    vote,
)
from lowdim.samples._rows import in_order
from lowdim.samples.dataset import SampleDataset

#: What a procedure says of itself to a file that keeps its work.
SETTINGS = ("names", "groups", "n_splits", "n_repeats", "n_inner", "scoring")


@dataclass(frozen=True)
class Prediction:
    """Labels of test samples, (n_test,), and how they were found."""

    labels: np.ndarray
    metric: Any
    settings: dict[str, Any]
    n_neighbors: int
    inner_score: float


@dataclass(frozen=True)
class Procedure:
    """What is done with labels: everything but these.

    Attributes
    ----------
    distributions : Mixtures, Clouds or GivenDistances
    names : (S,)
    candidates : Candidates
    groups : (S,) or None
    n_splits, n_repeats, n_inner : int
    scoring : str
    """

    distributions: Any
    names: np.ndarray
    candidates: Candidates
    groups: np.ndarray | None
    n_splits: int
    n_repeats: int
    n_inner: int
    scoring: str

    def facts(self, labels: np.ndarray, **given: Any) -> dict[str, str]:
        """What work on labels is of, for the file that keeps it; `given` is what else it takes."""
        own = self.candidates
        samples = {f"{name} of samples": part for name, part in vars(self.distributions).items()}
        settings = {name: getattr(self, name) for name in SETTINGS}
        return facts_of(
            own.metric,
            None,
            {
                "max_iter": getattr(own.metric, "max_iter", None),
                "settings of grid": own.settings,
                "n_neighbors": own.n_neighbors,
                "labels": labels,
                **settings,
                **samples,
                **given,
            },
        )

    def folds(self, labels: np.ndarray, rng: np.random.Generator) -> list[tuple[Fold, int]]:
        """All folds, and a seed for each."""
        seed = int(rng.integers(2**31))
        folds = outer_folds(labels, self.groups, self.n_splits, self.n_repeats, seed)
        seeds = rng.integers(2**31, size=len(folds)).tolist()
        for fold, seed in zip(folds, seeds, strict=True):
            self._check(fold, labels, seed)  # raises before any work
        return list(zip(folds, seeds, strict=True))

    def _check(self, fold: Fold, labels: np.ndarray, seed: int) -> None:
        """Whether a metric can be learned in a fold, and in its inner ones for the grid.

        Raises
        ------
        ValueError
            It cannot.
        """
        own = labels[fold.train]
        if self.groups is None:
            self.candidates.check(own, f"n_splits={self.n_splits}", "pass larger n_splits")
        else:
            self.candidates.check(own, f"group {str(fold.held_out)!r} held out", "pass no groups")
        if len(self.candidates) > 1:
            for fit, _ in self._inner(fold.train, labels, seed):
                way_out = "pass no grid, or larger n_splits or n_inner"
                self.candidates.check(own[fit], f"n_inner={self.n_inner} for the grid", way_out)

    def _inner(
        self, train: np.ndarray, labels: np.ndarray, seed: int
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        groups = None if self.groups is None else self.groups[train]
        return inner_folds(labels[train], groups, self.n_inner, seed)

    def choose(
        self, train: np.ndarray, labels: np.ndarray, seed: int
    ) -> tuple[dict[str, Any], int, float]:
        """Settings, number of neighbours and score that are best on folds of the training."""
        if len(self.candidates) == 1:
            return self.candidates.settings[0], self.candidates.n_neighbors[0], np.nan
        own, given = labels[train], self.distributions.take(train)
        folds = self._inner(train, labels, seed)
        best: tuple[dict[str, Any], int, float] | None = None
        for settings in self.candidates.settings:
            said = {k: np.full_like(own, "") for k in self.candidates.n_neighbors}
            for fit, held in folds:
                metric = self.candidates.fitted(settings, given.take(fit), own[fit], seed)
                distances = between(metric, given, held, fit)
                for k, predicted in said.items():
                    predicted[held] = vote(distances, own[fit], k)
            for k, predicted in said.items():
                score = prediction_scores(own, predicted)[self.scoring]
                if best is None or score > best[2]:
                    best = settings, k, score
        assert best is not None
        return best

    def predict(self, fold: Fold, labels: np.ndarray, seed: int) -> Prediction:
        """Labels of the test samples of a fold."""
        train = fold.train
        settings, k, inner_score = self.choose(train, labels, seed)
        learned = self.distributions.take(train)
        metric = self.candidates.fitted(settings, learned, labels[train], seed)
        distances = between(metric, self.distributions, fold.test, train)
        return Prediction(vote(distances, labels[train], k), metric, settings, k, inner_score)

    def score(self, labels: np.ndarray, rng: np.random.Generator) -> float:
        """`scoring` of all predictions of a repeat, and the mean over repeats."""
        said: dict[int, np.ndarray] = {}
        for fold, seed in self.folds(labels, rng):
            own = said.setdefault(fold.repeat, np.full_like(labels, ""))
            own[fold.test] = self.predict(fold, labels, seed).labels
        scores = [prediction_scores(labels, own)[self.scoring] for own in said.values()]
        return float(np.mean(scores))

    def report(
        self, fold: Fold, labels: np.ndarray, seed: int
    ) -> tuple[dict[str, Any], pd.DataFrame]:
        """The row of a fold in the table, and its predictions."""
        found, own = self.predict(fold, labels, seed), labels[fold.test]
        row = {
            "repeat": fold.repeat,
            "held_out": fold.held_out,
            "n_train": len(fold.train),
            "n_test": len(own),
            "n_neighbors": at_most(found.n_neighbors, labels[fold.train]),
            **{name: found.settings[name] for name in self.candidates.names},
            "inner_score": found.inner_score,
            **prediction_scores(own, found.labels),
            **cluster_scores(among(found.metric, self.distributions, fold.test), own),
        }
        said = pd.DataFrame(
            {
                "sample": self.names[fold.test],
                "label": own,
                "predicted": found.labels,
                "repeat": fold.repeat,
                "held_out": fold.held_out,
            }
        )
        return row, said


def procedure(
    distributions: Any,
    labels: Any,
    metric: Any,
    grid: Any,
    n_neighbors: int,
    n_splits: int,
    n_repeats: int,
    n_inner: int,
    groups: Any,
    scoring: str,
) -> tuple[Procedure, np.ndarray]:
    """The checked procedure, and the labels."""
    check_no_checkpoint(metric)
    parts = to_split(distributions, metric)
    names = np.arange(len(parts)).astype(str)
    if isinstance(distributions, SampleDataset):
        names = distributions.names
        labels = distributions.labels if labels is None else labels
    elif isinstance(distributions, pd.DataFrame):
        names = distributions.index.to_numpy().astype(str)
    if labels is None:
        raise ValueError("labels is missing: pass one per sample, or a dataset that has them.")
    if isinstance(distributions, SampleDataset | pd.DataFrame):
        labels, groups = in_order(labels, names, "labels"), in_order(groups, names, "groups")
    known = check_labels(labels, len(parts), names)
    checked = Procedure(
        parts,
        names,
        Candidates.of(metric, parts, grid, n_neighbors),
        None if groups is None else check_groups(groups, known, names),
        check_positive_int(n_splits, "n_splits", minimum=2),
        check_positive_int(n_repeats, "n_repeats"),
        check_positive_int(n_inner, "n_inner", minimum=2),
        check_in(scoring, "scoring", SCORINGS),
    )
    return checked, known
