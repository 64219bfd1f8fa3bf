"""How far independent fits of a mixture agree."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from lowdim._checkpoint import facts_of
from lowdim._journal import Journal, keeping
from lowdim._random import generator
from lowdim._saving import as_bytes, of_bytes
from lowdim._threads import threads_for
from lowdim._validation import check_positive_int, check_sample_weight
from lowdim.data.sources import RowSource, as_rows
from lowdim.mixture._jobs import check_n_jobs, check_no_checkpoint, in_kept_jobs
from lowdim.mixture._matching import Overlap, component_kinds, match
from lowdim.mixture.subspace import SubspaceMixture

if TYPE_CHECKING:
    from lowdim._typing import Float64Array, IntArray, PathLike

#: A component recurs in a run that has one with this Jaccard index or more.
SAME = 0.5


@dataclass(frozen=True, eq=False)
class SubspaceConsensus:
    """What independent fits of the same settings have in common.

    Component k is that of the best run, the reference; in another run it is the component of the
    same dimension that shares most rows with it, no two being matched with the same one.

    Attributes
    ----------
    best : SubspaceMixture
        The run of highest objective that is not degenerate: the reference.
    responsibilities : ndarray of shape (N, K)
        Mean over the runs of each row's responsibilities. With dims="auto", a row's share in
        components that the reference does not have is missing from its sum.
    labels : ndarray of shape (N,)
        Consensus: the component of largest mean responsibility.
    agreement : ndarray of shape (N,)
        Share of the runs that put the row where the consensus does.
    jaccard : ndarray of shape (n_runs, K)
        Jaccard index of the rows of each component and those of its partner in the run (shared
        responsibility over that of either); 0 without a partner, 1 in the reference itself.
    reproducibility : ndarray of shape (K,)
        Mean Jaccard index over the runs other than the reference.
    recurrence : ndarray of shape (K,)
        Share of the runs other than the reference in which the Jaccard index is 0.5 or more.
    objectives : ndarray of shape (n_runs,)
        What each run reached, mean per row: log-likelihood, or the objective of hard and closest
        assignment; with dims="auto" minus BIC / 2, since runs may differ in size.
    converged : ndarray of shape (n_runs,), bool
        Whether the run's best restart settled within `tol`.
    ari : ndarray of shape (n_runs, n_runs)
        Adjusted Rand index of the labels of every two runs.
    """

    best: SubspaceMixture
    responsibilities: Float64Array
    labels: IntArray
    agreement: Float64Array
    jaccard: Float64Array
    reproducibility: Float64Array
    recurrence: Float64Array
    objectives: Float64Array
    converged: np.ndarray
    ari: Float64Array

    @property
    def n_runs(self) -> int:
        """Number of fits."""
        return len(self.objectives)

    @property
    def mean_ari(self) -> float:
        """Mean adjusted Rand index over all pairs of runs."""
        return float(self.ari[np.triu_indices(self.n_runs, 1)].mean())


def consensus_subspaces(
    model: SubspaceMixture,
    X: Any,
    *,
    n_runs: int = 20,
    sample_weight: Any = None,
    n_jobs: int | None = None,
    random_state: Any = None,
    checkpoint: PathLike | None = None,
    verbose: int = 0,
) -> SubspaceConsensus:
    """Fit a mixture again and again from other starts, and see what recurs.

    The likelihood has many maxima, and the best of `n_init` restarts may be another one next
    time. A component that is found in every run can be relied on as a description of these rows;
    how exactly is asked of `bootstrap_subspaces`.

    Parameters
    ----------
    model : SubspaceMixture
        Its settings are used, and each run has its `n_init` restarts. Fitted or not, it stays as
        it is.
    X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (N, D)
        Observations as rows.
    n_runs : int, default=20
        Number of fits, at least 2.
    sample_weight : array-like of shape (N,), optional
        Nonnegative row weights, as for `SubspaceMixture.fit`.
    n_jobs : int, optional
        Threads that take runs side by side (-1: one per core); by default 1. They change
        results by no more than rounding.
    random_state : int, Generator or RandomState, optional
        Seed of the runs' seeds; the same seed gives the same bits on the same machine.
    checkpoint : path, optional
        A file that keeps the runs that are done. The same call goes on from there.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    SubspaceConsensus

    Raises
    ------
    ValueError, TypeError
        An argument or the data cannot be used; `init` gives a start, from which all runs
        would be one; or the checkpoint is of other runs.
    KeyboardInterrupt
        By Ctrl-C. The checkpoint keeps the runs that are done.

    Notes
    -----
    Memory grows with N (K + n_runs), never with N^2. Jaccard indices of clusters as a measure of
    stability are those of Hennig, Computational Statistics and Data Analysis 52 (2007), with
    responsibilities for sets; they are matched by the Hungarian algorithm.

    Examples
    --------
    >>> import lowdim as ld
    >>> planted = ld.data.subspaces(600, dims=[2, 1], n_columns=5, random_state=0)
    >>> found = ld.consensus_subspaces(
    ...     ld.SubspaceMixture(dims=[2, 1], n_init=3), planted.X, n_runs=5, random_state=0
    ... )
    >>> found.reproducibility.round(2)
    array([1., 1.])
    """
    if not isinstance(model, SubspaceMixture):
        raise TypeError(f"model is a {type(model).__name__}; pass a SubspaceMixture.")
    if not isinstance(model.init, str):
        raise ValueError(
            "init gives a start, from which all runs would be the same; set it to 'auto' or "
            "another kind of start."
        )
    check_no_checkpoint(model)
    n_runs = check_positive_int(n_runs, "n_runs", minimum=2)
    check_n_jobs(n_jobs)
    source = as_rows(X)
    weight = check_sample_weight(sample_weight, source.n_rows)

    def run(seed: int, _: Journal) -> SubspaceMixture:
        return clone(model).set_params(random_state=seed, verbose=0).fit(source, None, weight)

    given = {
        "work": "consensus_subspaces", "sample_weight": weight, "n_runs": n_runs,
        "seed": random_state, "max_iter": model.max_iter,
    }  # fmt: skip
    facts, rng = partial(facts_of, model, source, given), generator(random_state)
    with (
        threads_for(source.n_rows * source.n_cols),
        keeping(checkpoint, facts, rng) as journal,
    ):
        found = in_kept_jobs(
            run,
            journal.rng.integers(2**31 - 1, size=n_runs).tolist(),
            journal,
            pack=as_bytes,
            unpack=partial(of_bytes, SubspaceMixture),
            n_jobs=n_jobs,
            description="consensus",
            verbose=verbose,
        )
        runs = list(found)
        return _compare(runs, source, weight)


def _compare(
    runs: list[SubspaceMixture], source: RowSource, weight: Float64Array | None
) -> SubspaceConsensus:
    """Every run matched to the best one."""
    total = float(source.n_rows if weight is None else weight.sum())
    objectives = np.array([_objective(run, total) for run in runs])
    score = np.where(np.isfinite(objectives), objectives, -np.inf)
    reference = max(range(len(runs)), key=lambda r: (not runs[r].degenerate_, score[r]))
    best = runs[reference]
    shares = _shares(best, source)
    kinds, n_components = component_kinds(best), len(shares)
    mean, jaccard = np.zeros_like(shares), np.zeros((len(runs), n_components))
    labels, places = [], []
    for r, run in enumerate(runs):
        own = shares if r == reference else _shares(run, source)
        overlap = Overlap(n_components, len(own))
        overlap.add(shares, own, weight)
        similar = overlap.jaccard
        partner = match(similar, kinds, component_kinds(run))
        found = np.flatnonzero(partner >= 0)
        jaccard[r, found] = similar[found, partner[found]]
        mean[found] += own[partner[found]]
        place = np.full(len(own), -1)
        place[partner[found]] = found
        labels.append(own.argmax(0).astype(np.int32))
        places.append(place)
    jaccard[reference] = 1.0
    agreed = mean.argmax(0)
    hits = sum(
        (place[own] == agreed).astype(float) for place, own in zip(places, labels, strict=True)
    )
    others = np.delete(jaccard, reference, axis=0)
    return SubspaceConsensus(
        best=best,
        responsibilities=np.ascontiguousarray(mean.T) / len(runs),
        labels=agreed,
        agreement=np.asarray(hits) / len(runs),
        jaccard=jaccard,
        reproducibility=others.mean(0),
        recurrence=(others >= SAME).mean(0),
        objectives=objectives,
        converged=np.array([run.converged_ for run in runs]),
        ari=_pairwise_ari(labels),
    )


def _objective(run: SubspaceMixture, total: float) -> float:
    """What makes one run better than another, mean per row."""
    if run.assignment != "soft":
        return float(run.objective_trace_[-1])
    if isinstance(run.dims, str):
        return run.lower_bound_ - run.n_parameters() * float(np.log(total)) / (2 * total)
    return run.lower_bound_


def _shares(run: SubspaceMixture, source: RowSource) -> Float64Array:
    """Responsibilities, rows last, (K, N): 0 or 1 unless assignment is soft."""
    if run.assignment == "soft":
        return np.ascontiguousarray(run.predict_proba(source).T)
    return np.eye(len(run.weights_))[:, run.predict(source)]


def _pairwise_ari(labels: list[IntArray]) -> Float64Array:
    """Adjusted Rand index of every two labellings (Hubert and Arabie, 1985).

    From tables of counts, which is faster than from labels of any kind.
    """
    sizes = [int(own.max()) + 1 for own in labels]
    out = np.eye(len(labels))
    for i, j in combinations(range(len(labels)), 2):
        cells = labels[i].astype(np.int64) * sizes[j] + labels[j]
        table = np.bincount(cells, minlength=sizes[i] * sizes[j]).reshape(sizes[i], sizes[j])
        out[i, j] = out[j, i] = adjusted_rand(table)
    return out


def adjusted_rand(table: IntArray) -> float:
    """Adjusted Rand index of a table of counts: 1 for equal partitions, 0 on average by chance."""
    together, first, second, every = (
        float((n * (n - 1.0) / 2).sum())
        for n in (table, table.sum(1), table.sum(0), table.sum(keepdims=True))
    )
    expected, most = first * second / max(every, 1.0), (first + second) / 2
    return 1.0 if most == expected else (together - expected) / (most - expected)
