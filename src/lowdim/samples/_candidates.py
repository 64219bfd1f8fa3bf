"""Distances that are given or learned, and the settings among which to choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import ParameterGrid

from lowdim._validation import check_positive_int
from lowdim.samples._training_samples import train_and_validation
from lowdim.samples.dataset import SampleDataset
from lowdim.samples.ground_metric import OF_POINTS, GroundMetric
from lowdim.transport import Clouds, Mixtures

NEIGHBORS = "n_neighbors"


@dataclass(frozen=True)
class GivenDistances:
    """Matrices of distances, (S, S), that split into samples as distributions do."""

    matrices: dict[str, np.ndarray]

    @classmethod
    def of(cls, matrices: Any) -> GivenDistances:
        """From one, or several by name, checked.

        Raises
        ------
        ValueError
            One is no matrix of distances, or has another size than the first.
        """
        several = isinstance(matrices, Mapping)
        named = dict(matrices) if several else {"distributions": matrices}
        if not named:
            raise ValueError("distributions is empty; pass at least one matrix of distances.")
        arrays = {name: np.asarray(own, dtype=np.float64) for name, own in named.items()}
        size = len(np.atleast_1d(next(iter(arrays.values()))))
        for name, array in arrays.items():
            what = f"distributions[{name!r}]" if several else name
            if array.shape != (size, size):
                raise ValueError(
                    f"{what} has shape {array.shape}; without a metric pass distances, (S, S)."
                )
            if not np.isfinite(array).all() or (array < 0).any():
                raise ValueError(f"{what} has distances that are negative or not finite.")
            if not np.allclose(array, array.T, rtol=1e-6, atol=1e-9 * float(array.max())):
                raise ValueError(f"{what} is a matrix of distances that is not symmetric.")
        return cls(arrays)

    def __len__(self) -> int:
        return len(next(iter(self.matrices.values())))

    def take(self, samples: Any) -> GivenDistances:
        """Among some samples."""
        own = np.ix_(samples, samples)
        return GivenDistances({name: array[own] for name, array in self.matrices.items()})


class AsGiven(BaseEstimator):
    """A metric that learns nothing and reads distances from one of the matrices."""

    def __init__(self, which: str | None = None) -> None:
        self.which = which

    def fit(self, distributions: GivenDistances, labels: np.ndarray) -> AsGiven:
        """Nothing."""
        return self

    def distances(self, distributions: GivenDistances, pairs: np.ndarray) -> np.ndarray:
        """Of pairs, (n,)."""
        matrices = distributions.matrices
        matrix = next(iter(matrices.values())) if self.which is None else matrices[self.which]
        return matrix[pairs[:, 0], pairs[:, 1]]


def to_split(distributions: Any, metric: Any) -> Any:
    """What can be split into samples: distances, mixtures or clouds.

    Raises
    ------
    TypeError, ValueError
        It cannot be used, or the metric is none.
    """
    if metric is None:
        if isinstance(distributions, SampleDataset | Mixtures | Clouds):
            raise TypeError(
                f"metric is missing: pass one, such as GroundMetric, or distances in place of the "
                f"{type(distributions).__name__}."
            )
        return GivenDistances.of(distributions)
    for method in ("fit", "distances", "get_params"):
        if not hasattr(metric, method):
            raise TypeError(
                f"metric is a {type(metric).__name__} without {method}; pass an estimator such as "
                "GroundMetric, or None and distances in place of distributions."
            )
    if isinstance(distributions, SampleDataset):
        if distributions.gmm is not None and getattr(metric, "cost", None) not in OF_POINTS:
            return distributions.mixtures
        return distributions.clouds(getattr(metric, "n_cells", None))
    if not isinstance(distributions, Mixtures | Clouds):
        raise TypeError(
            f"distributions is a {type(distributions).__name__}; a metric needs a SampleDataset, "
            "Mixtures or Clouds."
        )
    return distributions


@dataclass(frozen=True)
class Candidates:
    """A metric and the settings to try.

    Attributes
    ----------
    metric : estimator
    settings : list of dict
        Of the metric, in the order of the grid.
    n_neighbors : list of int
    """

    metric: Any
    settings: list[dict[str, Any]]
    n_neighbors: list[int]

    @classmethod
    def of(cls, metric: Any, distributions: Any, grid: Any, n_neighbors: int) -> Candidates:
        """From a dict of lists; without a metric all matrices of distances are tried.

        Raises
        ------
        ValueError
            The grid names no setting of the metric, or has nothing to try.
        """
        lists = {name: list(values) for name, values in (grid or {}).items()}
        known = [*([] if metric is None else metric.get_params()), NEIGHBORS]
        for name, values in lists.items():
            if name not in known:
                raise ValueError(f"grid has {name!r}, which is none of {', '.join(known)}.")
            if not values:
                raise ValueError(f"grid has nothing to try for {name!r}.")
        if isinstance(metric, GroundMetric):
            _check_grid(lists, distributions)
        if metric is None:
            metric = AsGiven()
            if len(distributions.matrices) > 1:
                lists["which"] = list(distributions.matrices)
        neighbors = lists.pop(NEIGHBORS, [n_neighbors])
        return cls(
            metric,
            list(ParameterGrid(lists)),
            [check_positive_int(k, NEIGHBORS) for k in neighbors],
        )

    def __len__(self) -> int:
        return len(self.settings) * len(self.n_neighbors)

    @property
    def names(self) -> list[str]:
        """Of the settings of the metric that vary."""
        return sorted({name for own in self.settings for name in own})

    def check(self, labels: np.ndarray, where: str, way_out: str) -> None:
        """Whether a ground metric can be learned from samples with such labels.

        Parameters
        ----------
        labels : (n,)
        where, way_out : str
            How they come to be so few, and what to do about it.

        Raises
        ------
        ValueError
            It cannot, with any of the settings.
        """
        if not isinstance(self.metric, GroundMetric):
            return
        name = "validation_fraction"
        shares = {own.get(name, self.metric.validation_fraction) for own in self.settings}
        for share in sorted(shares):
            try:
                train_and_validation(labels, share, np.random.default_rng(0))
            except ValueError as error:
                raise ValueError(
                    f"With {where} too few samples are left to learn a metric from: {error} Add "
                    f"samples, or {way_out}."
                ) from None

    def fitted(
        self, settings: dict[str, Any], distributions: Any, labels: np.ndarray, seed: int
    ) -> Any:
        """The metric with settings, fitted; with a seed if it has none of its own."""
        model = clone(self.metric).set_params(**settings)
        if model.get_params().get("random_state", 0) is None:
            model.set_params(random_state=seed)
        return model.fit(distributions, labels)


def _check_grid(lists: dict[str, list[Any]], distributions: Any) -> None:
    """Whether settings of a ground metric can be compared on these distributions.

    Raises
    ------
    ValueError
        One would change nothing, or cannot be used.
    """
    if "n_cells" in lists:
        raise ValueError(
            "grid has 'n_cells', but cells are drawn once, before any fold; set it in the metric, "
            "GroundMetric(n_cells=...), and validate one number at a time."
        )
    strange = [cost for cost in lists.get("cost", []) if cost in OF_POINTS]
    if strange and isinstance(distributions, Mixtures):
        raise ValueError(
            f"grid has cost={strange[0]!r}, which is of points, and samples are mixtures here; "
            "validate GroundMetric(cost='w1') or 'w2' by itself, which takes their cells."
        )


def between(metric: Any, distributions: Any, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Distances of some samples to others, (n_rows, n_columns), as the metric has them."""
    pairs = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    return np.asarray(metric.distances(distributions, pairs)).reshape(len(rows), len(columns))


def among(metric: Any, distributions: Any, rows: np.ndarray) -> np.ndarray:
    """Distances of some samples to each other, (n, n)."""
    first, second = np.triu_indices(len(rows), 1)
    pairs = np.stack([rows[first], rows[second]], axis=1)
    out = np.zeros((len(rows), len(rows)))
    out[first, second] = out[second, first] = metric.distances(distributions, pairs)
    return out
