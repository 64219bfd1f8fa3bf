"""Which samples are for training and which are held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import (
    LeaveOneGroupOut,
    RepeatedStratifiedKFold,
    StratifiedGroupKFold,
    StratifiedKFold,
)

from lowdim.samples._rows import listed


@dataclass(frozen=True)
class Fold:
    """Numbers of samples.

    Attributes
    ----------
    train, test : (n,)
    repeat : int
    held_out : str
        The group, or the number of the fold.
    """

    train: np.ndarray
    test: np.ndarray
    repeat: int
    held_out: str


def check_labels(labels: Any, n_samples: int, names: np.ndarray) -> np.ndarray:
    """One label per sample as strings, (S,).

    Raises
    ------
    ValueError
        There is not one per sample, some are missing, or a class has a single sample.
    """
    array = _one_each(labels, n_samples, names, "labels")
    classes, counts = np.unique(array, return_counts=True)
    if len(classes) < 2:
        raise ValueError(f"labels has one class, {listed(classes)}; there is nothing to tell.")
    if counts.min() < 2:
        raise ValueError(
            f"labels has a single sample of {listed(classes[counts < 2])}; a class needs one to "
            "learn from and one to predict: drop it, or join it with another."
        )
    return array


def check_groups(groups: Any, labels: np.ndarray, names: np.ndarray) -> np.ndarray:
    """One group per sample as strings, (S,), such that every class is in two groups or more.

    Raises
    ------
    ValueError
        There is not one per sample, or a class is gone when a group is held out.
    """
    array = _one_each(groups, len(labels), names, "groups")
    within = pd.DataFrame({"label": labels, "group": array}).groupby("label")["group"].nunique()
    alone = within.index[within < 2]
    if len(alone):
        raise ValueError(
            f"groups puts all samples of class {listed(alone)} into one group: with that group "
            "held out nothing is known of the class. Pass what cuts across classes, such as donors."
        )
    return array


def _one_each(values: Any, n_samples: int, names: np.ndarray, what: str) -> np.ndarray:
    array = np.asarray(values, dtype=object)
    if array.shape != (n_samples,):
        raise ValueError(
            f"{what} has shape {array.shape}, expected one for each sample, ({n_samples},)."
        )
    if pd.isna(array).any():
        raise ValueError(f"{what} is missing for {listed(names[pd.isna(array)])}.")
    return array.astype(str)


def outer_folds(
    labels: np.ndarray, groups: np.ndarray | None, n_splits: int, n_repeats: int, seed: int
) -> list[Fold]:
    """Each group once; or stratified folds, so many times.

    Raises
    ------
    ValueError
        There are more folds than samples of a class, or repeats of groups.
    """
    rows = np.zeros(len(labels))
    if groups is not None:
        if n_repeats != 1:
            raise ValueError(
                f"n_repeats={n_repeats} has no use with groups: each is held out once."
            )
        splits = LeaveOneGroupOut().split(rows, labels, groups)
        return [Fold(train, test, 0, groups[test[0]]) for train, test in splits]
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < n_splits:
        raise ValueError(
            f"n_splits={n_splits} is more than the {counts.min()} samples of class "
            f"{listed(classes[[counts.argmin()]])}; pass n_splits={max(2, counts.min())} or fewer."
        )
    folds = RepeatedStratifiedKFold(n_splits=n_splits, n_repeats=n_repeats, random_state=seed)
    return [
        Fold(train, test, number // n_splits, str(number % n_splits))
        for number, (train, test) in enumerate(folds.split(rows, labels))
    ]


def inner_folds(
    labels: np.ndarray, groups: np.ndarray | None, n_inner: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Folds of the samples of training, groups kept whole; no more than a class has samples.

    Raises
    ------
    ValueError
        A class has a single sample, or group, to learn from.
    """
    units = labels if groups is None else pd.DataFrame([labels, groups]).T.drop_duplicates()[0]
    classes, counts = np.unique(units.astype(str), return_counts=True)
    if counts.min() < 2:
        raise ValueError(
            f"grid needs two samples, or groups, of class {listed(classes[[counts.argmin()]])} "
            "left for training: one to learn from and one to compare settings. Pass no grid, or "
            "larger n_splits."
        )
    n = min(n_inner, int(counts.min()))
    rows = np.zeros(len(labels))
    if groups is None:
        folds = StratifiedKFold(n, shuffle=True, random_state=seed)
        return list(folds.split(rows, labels))
    whole = StratifiedGroupKFold(n, shuffle=True, random_state=seed)
    found = list(whole.split(rows, labels, groups))
    if all(len(np.unique(labels[train])) == len(classes) for train, _ in found):
        return found
    return list(LeaveOneGroupOut().split(rows, labels, groups))  # a fold took all of a class


def shuffled(labels: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """Labels in random order: within groups, or, where each has one label only, among groups."""
    if groups is None:
        return rng.permutation(labels)
    names, codes = np.unique(groups, return_inverse=True)
    own = [labels[codes == g] for g in range(len(names))]
    if all(len(set(part)) == 1 for part in own):
        return rng.permutation(np.array([part[0] for part in own]))[codes]
    out = labels.copy()
    for g, part in enumerate(own):
        out[codes == g] = rng.permutation(part)
    return out
