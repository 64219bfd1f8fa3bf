"""The axes of a learned map: which to look at, and what each adds to the separation of labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lowdim.samples._rows import in_order, listed
from lowdim.samples.dataset import SampleDataset
from lowdim.transport import Clouds, Mixtures, mixture_distances


def along_principal_axes(W: np.ndarray) -> np.ndarray:
    """A map, (r, D), turned so that its rows are orthogonal, the longest first.

    Distances under it stay as they are. The largest entry of a row is positive.
    """
    _, lengths, axes = np.linalg.svd(W, full_matrices=False)
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(1)])
    return np.asarray((signs * lengths)[:, None] * axes)


def axis_separation(
    distributions: Mixtures | Clouds | SampleDataset,
    labels: Any = None,
    projection: Any = None,
    *,
    n_cells: int | None = 250,
) -> pd.DataFrame:
    """How far samples of different labels are from each other along each axis alone.

    Samples are mapped to one axis at a time, and W2 (of points) or MW2 (of mixtures) is taken
    there. Axes that are long, but do not separate, add noise to the distances.

    Parameters
    ----------
    distributions : Mixtures, Clouds or SampleDataset
        Of S samples; of a dataset its mixtures, or where it has none, points of each sample.
    labels : (S,), optional
        By default those of the dataset; a Series or dict goes by the names of samples, as in
        `lowdim.GroundMetric.fit`.
    projection : GroundMetric or array of shape (r, D), optional
        A row for each axis; by default the columns as they are.
    n_cells : int or None, default=250
        Rows of each sample that are drawn where a dataset has no mixtures.

    Returns
    -------
    DataFrame
        By axis: ``within`` and ``between``, the mean distances of two samples with one label and
        with different ones; ``ratio`` of these, 1 where the axis does not separate; and
        ``silhouette``, the mean over the samples (Rousseeuw 1987), from -1 to 1.

    Raises
    ------
    TypeError, ValueError
        Labels are missing or of one kind, or shapes do not match.
    """
    from sklearn.metrics import silhouette_score

    if labels is None:
        labels = getattr(distributions, "labels", None)
    if labels is None:
        raise ValueError("labels are missing; pass one for every sample.")
    measures = _measures(distributions, n_cells)
    labels = in_order(labels, getattr(distributions, "names", None), "labels")
    names = np.asarray(labels, dtype=object).astype(str)
    kinds = np.unique(names)
    if names.shape != (len(measures),) or not 1 < len(kinds) < len(names):
        raise ValueError(
            f"labels has shape {names.shape} and {listed(kinds)} for {len(measures)} samples; pass "
            "one for each, of two kinds or more, and one of them twice."
        )
    D = (measures.means if isinstance(measures, Mixtures) else measures.points).shape[-1]
    W = np.eye(D) if projection is None else getattr(projection, "components_", projection)
    W = np.asarray(W, dtype=np.float64)
    if W.ndim != 2 or W.shape[1] != D:
        raise ValueError(f"projection has shape {W.shape}; pass (r, {D}), or a fitted metric.")
    first, second = np.triu_indices(len(names), 1)
    same = names[first] == names[second]
    rows = []
    for axis in W:
        matrix = _along(measures, axis)
        pairs = matrix[first, second]
        within, between = float(pairs[same].mean()), float(pairs[~same].mean())
        ratio = between / within if within > 0 else np.inf if between > 0 else 1.0
        silhouette = float(silhouette_score(matrix, names, metric="precomputed"))
        rows.append(
            {"within": within, "between": between, "ratio": ratio, "silhouette": silhouette}
        )
    return pd.DataFrame(rows, index=pd.Index([str(k) for k in range(len(W))], name="axis"))


def _measures(distributions: Any, n_cells: int | None) -> Mixtures | Clouds:
    if isinstance(distributions, SampleDataset):
        return (
            distributions.clouds(n_cells) if distributions.gmm is None else distributions.mixtures
        )
    if not isinstance(distributions, Mixtures | Clouds):
        raise TypeError(
            "distributions must be Mixtures, Clouds or a SampleDataset, got "
            f"{type(distributions).__name__}."
        )
    return distributions


def _along(measures: Mixtures | Clouds, axis: np.ndarray) -> np.ndarray:
    """Distances (S, S) of what is seen along one axis."""
    seen = measures.mapped(axis[None])
    if isinstance(seen, Mixtures):
        return mixture_distances(seen)
    return _line_distances(seen)


def _line_distances(clouds: Clouds) -> np.ndarray:
    """W2 of weighted points on a line, (S, S): the quantiles lie over each other."""
    parts = []
    for s in range(len(clouds)):
        own = clouds.rows(s)
        order = np.argsort(clouds.points[own, 0], kind="stable")
        parts.append((clouds.points[own, 0][order], np.cumsum(clouds.weights[own][order])))
    matrix = np.zeros((len(parts), len(parts)))
    for i, (x, left) in enumerate(parts):
        for j, (y, right) in enumerate(parts[:i]):
            edges = np.union1d(left, right).clip(max=1.0)
            middles = edges - np.diff(edges, prepend=0.0) / 2
            a = x[np.searchsorted(left, middles).clip(max=len(x) - 1)]
            b = y[np.searchsorted(right, middles).clip(max=len(y) - 1)]
            squared = ((a - b) ** 2) @ np.diff(edges, prepend=0.0)
            matrix[i, j] = matrix[j, i] = np.sqrt(squared)
    return matrix
