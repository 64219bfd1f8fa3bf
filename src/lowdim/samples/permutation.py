"""Whether what distances tell of classes is more than chance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._journal import Journal, keeping
from lowdim._random import generator, spawn
from lowdim._validation import check_positive_int
from lowdim.mixture._jobs import check_n_jobs, in_kept_jobs
from lowdim.samples._folds import shuffled
from lowdim.samples._nested import Procedure, procedure

if TYPE_CHECKING:
    from lowdim._typing import PathLike


@dataclass(frozen=True, eq=False)
class PermutationTest:
    """A score, and what it is if labels are shuffled.

    Attributes
    ----------
    score : float
        That of `cross_validate_samples` with the same `random_state`.
    null_scores : (n_permutations,)
    p_value : float
        Share of permutations that score as high, the labels as they are among them.
    """

    score: float
    null_scores: np.ndarray
    p_value: float


def permutation_test(
    distributions: Any,
    labels: Any = None,
    metric: Any = None,
    *,
    n_permutations: int = 100,
    grid: Any = None,
    n_neighbors: int = 5,
    n_splits: int = 5,
    n_repeats: int = 1,
    n_inner: int = 3,
    groups: Any = None,
    scoring: str = "balanced_accuracy",
    n_jobs: int | None = None,
    random_state: Any = None,
    checkpoint: PathLike | None = None,
    verbose: int = 0,
) -> PermutationTest:
    """Whether a score of `cross_validate_samples` is more than chance.

    Labels are shuffled and everything is done again, the choice of settings included. With
    groups, labels are shuffled within them; where all samples of a group have one label, labels
    are shuffled among groups.

    Parameters
    ----------
    distributions, labels, metric, grid, n_neighbors, n_splits, n_repeats, n_inner, groups, scoring
        As in `cross_validate_samples`.
    n_permutations : int, default=100
        The smallest p-value is ``1 / (n_permutations + 1)``.
    n_jobs : int, optional
        Permutations at the same time, in threads; -1 is one per core.
    random_state : int, Generator or RandomState, optional
    checkpoint : path, optional
        A file that keeps the scores that are known. The same call goes on from there.
    verbose : int, default=0
        1 shows a progress bar over the permutations.

    Returns
    -------
    PermutationTest

    Raises
    ------
    ValueError, TypeError
        As of `cross_validate_samples`.
    KeyboardInterrupt
        By Ctrl-C: a few scores alone are no result. The checkpoint keeps them.
    """
    n_permutations = check_positive_int(n_permutations, "n_permutations")
    check_n_jobs(n_jobs)
    nested, known = procedure(
        distributions, labels, metric, grid, n_neighbors, n_splits, n_repeats, n_inner, groups,
        scoring,
    )  # fmt: skip
    nested.folds(known, np.random.default_rng(0))  # raises before any work
    given = {"n_permutations": n_permutations, "random_state": random_state}
    facts = partial(nested.facts, known, work="permutation test", **given)
    with keeping(checkpoint, facts, generator(random_state)) as journal:
        return permuted(nested, known, n_permutations, journal, journal.rng, n_jobs, verbose)


def permuted(
    nested: Procedure,
    labels: np.ndarray,
    n_permutations: int,
    journal: Journal,
    rng: np.random.Generator,
    n_jobs: int | None,
    verbose: int,
) -> PermutationTest:
    """The score of a procedure, and those of shuffled labels, which a journal keeps."""
    streams = [rng, *spawn(rng, n_permutations)]

    def score(task: int, _: Journal) -> float:
        stream = streams[task]
        own = labels if task == 0 else shuffled(labels, nested.groups, stream)
        return nested.score(own, stream)

    tasks = range(n_permutations + 1)
    scores = in_kept_jobs(
        score, tasks, journal, n_jobs=n_jobs, description="permutations", verbose=verbose
    )
    observed, *null = scores
    null_scores = np.array(null)
    above = np.count_nonzero(null_scores >= observed - 1e-12)
    return PermutationTest(observed, null_scores, float(1 + above) / (1 + n_permutations))
