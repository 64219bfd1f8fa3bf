"""How well distances tell the classes of samples that nothing was learned from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lowdim._journal import Journal, keeping
from lowdim._random import generator
from lowdim.mixture._jobs import check_n_jobs, in_kept_jobs
from lowdim.samples._neighbours import SCORINGS, prediction_scores
from lowdim.samples._nested import Procedure, procedure

if TYPE_CHECKING:
    from lowdim._typing import PathLike

SCORES = ("accuracy", "balanced_accuracy", "ari", "nmi", "silhouette")


@dataclass(frozen=True, eq=False, repr=False)
class CrossValidation:
    """What was predicted of samples that were held out.

    Attributes
    ----------
    table : DataFrame
        A row per fold: ``repeat``, ``held_out``, ``n_train``, ``n_test``; what was chosen,
        ``n_neighbors`` and the settings of the grid, and its ``inner_score``; ``accuracy`` and
        ``balanced_accuracy`` of the predictions; ``ari``, ``nmi`` and ``silhouette`` of the test
        samples by themselves, NaN where they are too few.
    predictions : DataFrame
        A row per sample and repeat: ``sample``, ``label``, ``predicted``, ``repeat``, ``held_out``.
    scoring : str
        What settings were chosen by.
    """

    table: pd.DataFrame
    predictions: pd.DataFrame
    scoring: str

    def __repr__(self) -> str:
        classes, samples = (self.predictions[name].nunique() for name in ("label", "sample"))
        return (
            f"CrossValidation({samples} samples of {classes} classes; {len(self.table)} folds; "
            f"{self.scoring} {self.score:.3f})"
        )

    @property
    def by_repeat(self) -> pd.DataFrame:
        """Accuracy and balanced accuracy of all predictions of a repeat, a row each."""
        rows = {
            repeat: prediction_scores(own["label"].to_numpy(), own["predicted"].to_numpy())
            for repeat, own in self.predictions.groupby("repeat")
        }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("repeat")

    @property
    def score(self) -> float:
        """`scoring` of all predictions of a repeat, and the mean over repeats."""
        return float(self.by_repeat[self.scoring].mean())

    @property
    def confusion(self) -> pd.DataFrame:
        """Numbers of predictions: a row per class, a column per predicted class."""
        classes = np.unique(self.predictions["label"])
        counts = pd.crosstab(self.predictions["label"], self.predictions["predicted"])
        return counts.reindex(index=classes, columns=classes, fill_value=0)

    def summary(self) -> pd.DataFrame:
        """Mean, standard deviation and number of what each score was taken of.

        Accuracies are those of all predictions of a repeat; the scores of clusters are those of
        folds, where they exist.
        """
        of_folds = self.table[["ari", "nmi", "silhouette"]]
        columns = {**self.by_repeat.to_dict("series"), **of_folds.to_dict("series")}
        known = {name: column.dropna() for name, column in columns.items()}
        return pd.DataFrame(
            {
                "mean": {name: own.mean() for name, own in known.items()},
                "sd": {name: own.std() for name, own in known.items()},
                "n": {name: len(own) for name, own in known.items()},
                "of": {name: "repeats" if name in SCORINGS else "folds" for name in known},
            }
        ).reindex(list(SCORES))


def cross_validate_samples(
    distributions: Any,
    labels: Any = None,
    metric: Any = None,
    *,
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
) -> CrossValidation:
    """Predict the class of samples from their nearest neighbours, by nested cross-validation.

    The metric is learned and its settings are chosen from the training samples of a fold alone;
    samples that are held out are looked at once, to be predicted.

    Parameters
    ----------
    distributions : SampleDataset, Mixtures, Clouds, array of shape (S, S) or dict of such
        Of a dataset its mixtures if it has them, else, or where the metric's cost is of points,
        cells, `n_cells` of the metric for each sample. Without a metric distances, or several kinds
        of them by name, among which is chosen as by a grid; the table tells it as ``which``.
    labels : (S,), optional
        Of the samples; by default those of the dataset. For a dataset, or a table of distances, a
        Series or dict goes by the names of samples, as in `lowdim.GroundMetric.fit`.
    metric : GroundMetric or another estimator, optional
        With ``fit(distributions, labels)`` and ``distances(distributions, pairs)``.
    grid : dict of lists, optional
        Settings of the metric, or ``n_neighbors``, to choose among; of equals the first is taken.
        Not ``n_cells``: cells are drawn once.
    n_neighbors : int, default=5
        No more are taken than the smallest class of training has samples.
    n_splits, n_repeats : int, default=5 and 1
        Stratified folds, and how often samples are split into them anew.
    n_inner : int, default=3
        Folds of the training samples for the grid; fewer where a class has fewer samples.
    groups : (S,), optional
        Such as donors: each is held out once, in place of stratified folds. By names as labels.
    scoring : {"balanced_accuracy", "accuracy"}, default="balanced_accuracy"
        What the grid is chosen by.
    n_jobs : int, optional
        Folds at the same time, in threads; -1 is one per core.
    random_state : int, Generator or RandomState, optional
    checkpoint : path, optional
        A file that keeps the folds that are done. The same call goes on from there.
    verbose : int, default=0
        1 shows a progress bar over the folds.

    Returns
    -------
    CrossValidation

    Raises
    ------
    ValueError, TypeError
        An argument cannot be used; a class has too few samples, or lies in one group; or the
        checkpoint is of other work.
    KeyboardInterrupt
        By Ctrl-C: some folds alone are no result. The checkpoint keeps them.

    Notes
    -----
    Mixtures that share components (``sharing="global"``) have been fitted to the cells of all
    samples, though not to their labels.

    Examples
    --------
    >>> import lowdim as ld
    >>> from lowdim.samples import cross_validate_samples
    >>> from lowdim.transport import Mixtures, mixture_distances
    >>> truth = ld.data.simulate_cohort(20, 10, signal="mean", separation=6.0).uns["truth"]
    >>> known = Mixtures.of(truth["weights"], truth["means"], truth["covariances"])
    >>> D = mixture_distances(known.mapped(truth["plane"]))
    >>> cross_validate_samples(D, truth["labels"], random_state=0).score
    1.0
    """
    rng = generator(random_state)
    check_n_jobs(n_jobs)
    nested, known = procedure(
        distributions, labels, metric, grid, n_neighbors, n_splits, n_repeats, n_inner, groups,
        scoring,
    )  # fmt: skip
    nested.folds(known, np.random.default_rng(0))  # raises before any work
    facts = partial(nested.facts, known, work="cross-validation", random_state=random_state)
    with keeping(checkpoint, facts, rng) as journal:
        return cross_validated(nested, known, journal, journal.rng, n_jobs, verbose)


def cross_validated(
    nested: Procedure,
    labels: np.ndarray,
    journal: Journal,
    rng: np.random.Generator,
    n_jobs: int | None,
    verbose: int,
) -> CrossValidation:
    """All folds of a procedure, which a journal keeps."""
    found = in_kept_jobs(
        lambda task, _: nested.report(task[0], labels, task[1]),
        nested.folds(labels, rng),
        journal,
        pack=lambda own: (own[0], own[1].to_dict("list")),
        unpack=lambda kept: (kept[0], pd.DataFrame(kept[1])),
        n_jobs=n_jobs,
        description="folds",
        verbose=verbose,
    )
    rows, said = zip(*found, strict=True)
    return CrossValidation(
        pd.DataFrame(list(rows)), pd.concat(said, ignore_index=True), nested.scoring
    )
