"""Triplets of samples: one is to be nearer to its like than to any other, by a margin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Hinge:
    """Mean over all triplets of ``max(0, D_ij - D_jk + margin)``.

    Attributes
    ----------
    loss : float
    active : float
        Share of the triplets that are not zero.
    slopes : (A, S)
        Of the loss by the distances.
    """

    loss: float
    active: float
    slopes: np.ndarray


def n_triplets(labels: np.ndarray) -> int:
    """Triplets (i, j, k) with ``y_i = y_j != y_k`` and i other than j."""
    sizes = np.unique(labels, return_counts=True)[1]
    return int((sizes * (sizes - 1) * (len(labels) - sizes)).sum())


def hinge(
    distances: np.ndarray, anchors: np.ndarray, labels: np.ndarray, margin: float
) -> Hinge | None:
    """Over all triplets whose anchor j is a row; None if there are none.

    Per anchor, distances are sorted once: how many triplets of a pair are not zero is how many of
    the other distances lie within the margin.

    Parameters
    ----------
    distances : (A, S)
        Of anchors to samples; nan where both are the same sample.
    anchors, labels : (A,) and (S,)
        What they are.
    margin : float
    """
    total, count, active = 0.0, 0, 0
    slopes = np.zeros(distances.shape)
    for j, row in enumerate(distances):
        like = np.flatnonzero((labels == anchors[j]) & ~np.isnan(row))
        unlike = np.flatnonzero(labels != anchors[j])
        reach = np.sort(row[like]) + margin
        order = unlike[np.argsort(row[unlike], kind="stable")]
        far = row[order]
        within = np.searchsorted(far, reach, side="left")
        sums = np.concatenate([[0.0], np.cumsum(far)])
        total += float((within * reach - sums[within]).sum())
        count += len(like) * len(unlike)
        active += int(within.sum())
        slopes[j, like[np.argsort(row[like], kind="stable")]] = within
        slopes[j, order] = np.searchsorted(reach, far, side="right") - len(reach)
    if not count:
        return None
    return Hinge(total / count, active / count, slopes / count)
