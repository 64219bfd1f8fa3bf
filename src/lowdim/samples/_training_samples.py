"""Which samples a map is learned from, and which tell when to stop."""

from __future__ import annotations

import math

import numpy as np
from sklearn.model_selection import train_test_split

from lowdim.samples._rows import listed
from lowdim.samples._triplets import n_triplets


def with_triplets(labels: np.ndarray) -> np.ndarray:
    """Labels, if there are two samples of one and another label.

    Raises
    ------
    ValueError
        There are not.
    """
    if n_triplets(labels):
        return labels
    kinds, counts = np.unique(labels, return_counts=True)
    if len(kinds) < 2:
        raise ValueError(f"labels has one value only, {listed(kinds)}; two are needed to tell.")
    raise ValueError(
        f"labels has {counts.max()} sample for each of {listed(kinds)}; a label needs two samples "
        "for them to be near each other."
    )


def train_and_validation(
    labels: np.ndarray, share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of samples, ascending; a share of every label is for validation, if it is not 0.

    Raises
    ------
    ValueError
        The samples for training have no triplets, or there are too few for both.
    """
    with_triplets(labels)
    samples = np.arange(len(labels))
    if not share:
        return samples, samples[:0]
    kinds, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        raise ValueError(
            f"labels has a single sample of {listed(kinds[counts < 2])}, and "
            f"validation_fraction={share:g} needs two of each; pass 0."
        )
    n_held_out = math.ceil(share * len(labels))
    if not len(kinds) <= n_held_out <= len(labels) - len(kinds):
        raise ValueError(
            f"validation_fraction={share:g} holds out {n_held_out} of {len(labels)} samples; "
            f"of the {len(kinds)} labels each must be on either side. Pass another share, or 0."
        )
    seed = int(rng.integers(2**31))
    train, validation = train_test_split(
        samples, test_size=share, stratify=labels, random_state=seed
    )
    with_triplets(labels[train])
    return np.sort(train), np.sort(validation)
