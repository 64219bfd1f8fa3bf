"""How well distances between the samples of an AnnData tell their labels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning

from lowdim._journal import keeping
from lowdim._keys import SampleValidationKeys
from lowdim._random import generator
from lowdim._validation import check_in, check_positive_int
from lowdim._version import __version__
from lowdim.get._gmm_key import find_gmm_key
from lowdim.get._sample_labels import labels_of_samples
from lowdim.mixture._jobs import check_n_jobs
from lowdim.samples import CrossValidation, PermutationTest, SampleDataset, baseline_distances
from lowdim.samples._nested import Procedure, procedure
from lowdim.samples._rows import listed
from lowdim.samples.evaluation import cross_validated
from lowdim.samples.permutation import permuted
from lowdim.tl._input import open_rows
from lowdim.tl._params import to_uns
from lowdim.tl._results import Results
from lowdim.tl._sample_distances import OF_CELLS, OF_MIXTURES
from lowdim.transport import cloud_distances, mixture_distances

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._typing import PathLike

#: Folds of the training samples for the grid, and what settings are chosen by.
N_INNER, SCORING = 3, "balanced_accuracy"
MEANS, LEARNED = "sample means", "learned metric"


def sample_validation(
    adata: AnnData,
    *,
    sample_key: str,
    label_key: str,
    gmm_key: str | None = None,
    use_rep: str | None = None,
    layer: str | None = None,
    n_cells: int | None = 250,
    cost: str = "mw2",
    metric: Any = None,
    grid: Any = None,
    group_key: str | None = None,
    n_neighbors: int = 5,
    n_splits: int = 5,
    n_repeats: int = 5,
    n_permutations: int = 0,
    key_added: str = "sample_validation",
    random_state: Any = 0,
    n_jobs: int | None = None,
    checkpoint: PathLike | None = None,
    verbose: int = 0,
    copy: bool = False,
) -> AnnData | None:
    """Predict the labels of samples from their nearest neighbours, by nested cross-validation.

    Three kinds of distances are judged in the same folds: those of the means of samples, which
    anything else must beat; those of their mixtures or cells; and, with a `metric`, those of a
    ground metric that is learned anew in every fold, without the samples held out. Fits of folds
    that have not converged give no warning.

    Parameters
    ----------
    adata
        The AnnData; for mixtures one that `lowdim.tl.fit_gmm` has written to.
    sample_key, label_key
        Columns of `obs`: the samples, and what is predicted.
    gmm_key
        Key of `uns` of the mixtures, for the costs "mw2" and "mixed"; by default ``"gmm_"`` and the
        name of the matrix, or the only ones there are.
    use_rep, layer
        Key of `obsm` or of `layers`; with neither, what the mixtures were fitted to, or `X`.
    n_cells
        For "w1" and "w2" at most so many cells of each sample, drawn at random; None is all.
    cost : {"mw2", "mixed", "w1", "w2"}, default="mw2"
        Of the distances that are not learned: as in `lowdim.tl.sample_distances`. The first two
        are of mixtures, from which the metric is then learned, the others of cells.
    metric : GroundMetric, optional
        As it is to be fitted in every fold.
    grid : dict of lists, optional
        Settings of the metric to choose among, by the training samples of a fold alone.
    group_key
        Column of `obs` with one value for each sample, such as donors: each is held out once, in
        place of random folds.
    n_neighbors, n_splits, n_repeats
        As in `lowdim.samples.cross_validate_samples`.
    n_permutations : int, default=0
        How often the whole procedure is done again with shuffled labels, for the last kind.
    key_added
        Where the result goes.
    random_state
        Seed of folds, cells and shuffles.
    n_jobs, verbose
        Folds at the same time, in threads, and whether a bar shows them.
    checkpoint
        A file that keeps all folds and permutations that are done. The same call goes on from
        there.
    copy
        Return a copy with the result and leave `adata` as it is.

    Returns
    -------
    None, or with `copy` the copy. `lowdim.get.sample_validation` returns what is in
    ``uns[key_added]``.

    Raises
    ------
    KeyError
        There are no such mixtures, or there is no such column.
    TypeError, ValueError
        An argument or the data cannot be used. `adata` is then as it was.
    """
    key = SampleValidationKeys(key_added)
    n_permutations = check_positive_int(n_permutations, "n_permutations", minimum=0)
    open_rows(adata, layer=layer, use_rep=use_rep, copy=copy)
    check_in(cost, "cost", (*OF_MIXTURES, *OF_CELLS))
    if cost in OF_MIXTURES:
        gmm_key = find_gmm_key(adata, gmm_key, use_rep=use_rep, layer=layer, cells="w2")
    dataset = SampleDataset.from_anndata(
        adata, sample_key=sample_key, label_key=label_key, use_rep=use_rep, layer=layer,
        gmm_key=gmm_key,
    )  # fmt: skip
    groups = _groups(dataset, adata, sample_key, group_key)
    settings: dict[str, Any] = {
        "n_neighbors": n_neighbors, "n_splits": n_splits, "groups": groups,
        "n_repeats": n_repeats if groups is None else 1, "n_inner": N_INNER, "scoring": SCORING,
    }  # fmt: skip
    kinds = _kinds(dataset, cost, n_cells, metric, grid, random_state)
    found, test = _judged(
        {name: procedure(**{**own, **settings}) for name, own in kinds},
        n_permutations,
        random_state,
        checkpoint,
        (n_jobs, verbose),
    )
    params = {
        "sample_key": sample_key, "label_key": label_key, "gmm_key": gmm_key, "use_rep": use_rep,
        "layer": layer, "n_cells": n_cells, "cost": cost, "group_key": group_key,
        "n_neighbors": n_neighbors, "n_splits": n_splits, "n_repeats": settings["n_repeats"],
        "random_state": random_state,
    }  # fmt: skip
    record = _record(found, params)
    if test is not None:
        record["permutation"] = {"of": list(found)[-1], **asdict(test)}
    target = adata.copy() if copy else adata
    Results(obs={}, obsm={}, varm={}, uns={key.record: record}).write(target)
    return target if copy else None


def _judged(
    procedures: dict[str, tuple[Procedure, np.ndarray]],
    n_permutations: int,
    random_state: Any,
    checkpoint: PathLike | None,
    how: tuple[int | None, int],
) -> tuple[dict[str, CrossValidation], PermutationTest | None]:
    """What every kind of distances predicts, in the same folds, and whether the last is by chance.

    `how` is `n_jobs` and `verbose`.
    """
    check_n_jobs(how[0])
    given = {"n_permutations": n_permutations, "random_state": random_state}

    def facts() -> dict[str, str]:
        return {
            f"{name}: {fact}": told
            for name, (nested, known) in procedures.items()
            for fact, told in nested.facts(known, **given).items()
        }

    with _without_warnings(), keeping(checkpoint, facts, generator(random_state)) as journal:
        found = {
            name: cross_validated(nested, known, journal, deepcopy(journal.rng), *how)
            for name, (nested, known) in procedures.items()
        }
        if not n_permutations:
            return found, None
        nested, known = list(procedures.values())[-1]
        rng = deepcopy(journal.rng)
        return found, permuted(nested, known, n_permutations, journal, rng, *how)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Dozens of fits that end a little early: what counts is how well they predict."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _kinds(
    dataset: SampleDataset, cost: str, n_cells: int | None, metric: Any, grid: Any, seed: Any
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name of every kind of distances, and what cross-validation needs of it."""
    if cost in OF_CELLS and dataset.gmm is not None:
        raise ValueError(f"cost={cost!r} is of cells; leave out gmm_key.")
    if grid is not None and metric is None:
        raise ValueError("grid is of settings of the metric; pass metric=GroundMetric().")
    none = {"labels": dataset.labels, "metric": None, "grid": None}
    yield MEANS, {**none, "distributions": baseline_distances(dataset, "means")}
    if cost in OF_CELLS:
        measures: Any = dataset.clouds(n_cells, random_state=seed)
        distances = cloud_distances(measures, cost=cost)
        yield f"{cost} of cells", {**none, "distributions": distances}
    else:
        measures = dataset.mixtures
        distances = mixture_distances(measures, cost=cost)
        yield f"{cost} of mixtures", {**none, "distributions": distances}
    if metric is not None:
        yield LEARNED, {**none, "distributions": measures, "metric": metric, "grid": grid}


def _groups(
    dataset: SampleDataset, adata: AnnData, sample_key: str, group_key: str | None
) -> np.ndarray | None:
    """The group of every sample, (S,)."""
    if group_key is None:
        return None
    found = labels_of_samples(adata, dataset.names, group_key, sample_key)
    if found.isna().any():
        raise ValueError(f"obs[{group_key!r}] is missing for {listed(found.index[found.isna()])}.")
    return found.to_numpy()


def _record(found: dict[str, CrossValidation], params: dict[str, Any]) -> dict[str, Any]:
    """What `uns` holds."""
    texts = ["sample", "label", "predicted", "held_out"]
    return {
        "names": np.array(list(found), dtype=object),
        "tables": {name: _as_text(one.table, texts) for name, one in found.items()},
        "predictions": {name: _as_text(one.predictions, texts) for name, one in found.items()},
        "scoring": next(iter(found.values())).scoring,
        "params": to_uns(params),
        "version": __version__,
    }


def _as_text(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """A table that a file can hold: its row names and some columns as text."""
    texts = {name: table[name].astype(str) for name in columns if name in table}
    return table.assign(**texts).set_axis([str(i) for i in range(len(table))])
