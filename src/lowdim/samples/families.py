"""Components of different samples that are alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lowdim._random import generator
from lowdim._validation import check_in, check_positive_int
from lowdim.cluster import KMeans
from lowdim.samples._wasserstein_means import Components, Grouping, wasserstein_means
from lowdim.samples.dataset import SampleDataset
from lowdim.samples.mixtures import SampleGaussianMixtures
from lowdim.transport import gaussian_barycenter, gaussian_wasserstein

#: The most families that are tried where the user names no number.
MAX_FAMILIES = 12
#: Components whose silhouettes are looked at; of more a random sample is.
SILHOUETTES = 2000
#: Barycentres are found to this relative precision.
TOLERANCE = 1e-9


@dataclass(frozen=True, repr=False)
class ComponentFamilies:
    """Components of all samples in families, numbered by falling weight.

    Attributes
    ----------
    names : (S,)
        Of the samples.
    labels : (S, K)
        The family of every component; -1 where a sample has fewer.
    weights : (S, F)
        Of every family in every sample: what a sample is made of. Rows have the sum one.
    means : (F, D)
    covariances : (F, D, D) or (F, D)
        The Wasserstein barycentre of each family, components counting by their weights.
    spreads : (F,)
        Root of the mean squared W2 distance of its components from it.
    silhouettes : Series
        The mean silhouette of every number of families that was tried, in the coordinates that
        `component_families` describes.
    objectives : (n,)
        The weighted sum of squared distances, as it fell; one number where no round was needed.
    """

    names: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    spreads: np.ndarray
    silhouettes: pd.Series
    objectives: np.ndarray

    def __repr__(self) -> str:
        n, D = int((self.labels >= 0).sum()), self.means.shape[1]
        return (
            f"ComponentFamilies({self.n_families} families of {n} components; "
            f"{len(self.names)} samples; {D} columns)"
        )

    @property
    def n_families(self) -> int:
        """How many there are."""
        return len(self.means)

    def table(self) -> pd.DataFrame:
        """Weights as a table of samples by families."""
        families = pd.RangeIndex(self.n_families, name="family")
        return pd.DataFrame(self.weights, pd.Index(self.names, name="sample"), families)


def component_families(
    gmm: SampleGaussianMixtures | SampleDataset,
    n_families: int | None = None,
    *,
    method: str = "bures",
    n_init: int = 10,
    max_iter: int = 50,
    random_state: Any = None,
) -> ComponentFamilies:
    """Group the components of all samples, each counting by its weight.

    k-means in the Wasserstein distance: components go to the nearest barycentre, barycentres to the
    mean of their components, and the weighted sum of squared distances falls. It starts from
    k-means of coordinates ``(m, A^1/2)``, whose distance is never less than W2, and is W2 where
    covariances commute: so if all are diagonal, that is the result.

    Parameters
    ----------
    gmm : SampleGaussianMixtures or SampleDataset
        Fitted, or samples with mixtures.
    n_families : int, optional
        F. By default the number from 2 to 12 with the largest mean silhouette (Rousseeuw 1987) in
        these coordinates, of at most 2,000 components drawn at random.
    method : {"bures", "means"}, default="bures"
        "means" groups by means only.
    n_init : int, default=10
        Starts of k-means in the coordinates.
    max_iter : int, default=50
        Rounds in the Wasserstein distance.
    random_state : int, Generator or RandomState, optional

    Raises
    ------
    ValueError
        There are fewer components than families, or an argument cannot be used.
    """
    check_in(method, "method", ("bures", "means"))
    check_positive_int(n_init, "n_init")
    check_positive_int(max_iter, "max_iter")
    fitted = gmm.fitted if isinstance(gmm, SampleDataset) else gmm
    mixtures = fitted.mixtures()
    components = Components.of(mixtures)
    tried = _numbers(n_families, components)
    rng = generator(random_state)
    rows = components.means if method == "means" else components.coordinates()
    starts = [_start(rows, components.weights, F, n_init, rng) for F in tried]
    some = rng.choice(len(rows), SILHOUETTES, replace=False) if len(rows) > SILHOUETTES else ...
    scores = [_silhouette(rows[some], own.labels[some]) for own in starts]
    best = starts[int(np.nanargmax(scores)) if np.isfinite(scores).any() else 0]
    if method == "bures" and components.full:
        best = wasserstein_means(components, best, max_iter)
    return _described(
        fitted,
        mixtures.weights,
        components,
        best,
        pd.Series(scores, index=pd.Index(tried, name="n_families"), name="silhouette"),
    )


def _numbers(n_families: int | None, components: Components) -> list[int]:
    different = len(np.unique(components.means, axis=0))
    if n_families is None:
        return list(range(2, min(MAX_FAMILIES, different - 1) + 1)) or [1]
    if check_positive_int(n_families, "n_families") > different:
        raise ValueError(
            f"n_families={n_families} is more than the {different} different components."
        )
    return [n_families]


def _start(
    rows: np.ndarray, weights: np.ndarray, F: int, n_init: int, rng: np.random.Generator
) -> Grouping:
    if F == 1:
        center = weights @ rows / weights.sum()
        off = float(weights @ ((rows - center) ** 2).sum(1))
        return Grouping(np.zeros(len(rows), dtype=np.int64), np.array([off]))
    model = KMeans(F, n_init=n_init, random_state=rng).fit(rows, sample_weight=weights)
    return Grouping(np.asarray(model.labels_, dtype=np.int64), np.array([model.inertia_]))


def _silhouette(rows: np.ndarray, labels: np.ndarray) -> float:
    """The mean silhouette; nan where it is not defined."""
    from sklearn.metrics import silhouette_score

    if not 1 < len(np.unique(labels)) < len(labels):
        return np.nan
    return float(silhouette_score(rows, labels))


def _described(
    gmm: SampleGaussianMixtures,
    weights: np.ndarray,
    components: Components,
    grouping: Grouping,
    silhouettes: pd.Series,
) -> ComponentFamilies:
    """Families by falling weight, and what they are."""
    order = np.argsort(-np.bincount(grouping.labels, components.weights), kind="stable")
    labels = np.argsort(order)[grouping.labels]
    centers, spreads = [], []
    for f in range(len(order)):
        own = labels == f
        means, covariances = components.means[own], components.covariances[own]
        share = components.weights[own] / components.weights[own].sum()
        mean, spread = gaussian_barycenter(means, covariances, share, tol=TOLERANCE)
        off = gaussian_wasserstein(means, covariances, mean[None], spread[None])[:, 0]
        centers.append((mean, spread))
        spreads.append(np.sqrt(share @ off**2))
    placed = np.full(weights.shape, -1)
    placed[components.used] = labels
    shares = np.stack([(weights * (placed == f)).sum(1) for f in range(len(order))], axis=1)
    return ComponentFamilies(
        names=gmm.names_,
        labels=placed,
        weights=shares,
        means=np.stack([mean for mean, _ in centers]),
        covariances=np.stack([spread for _, spread in centers]),
        spreads=np.array(spreads),
        silhouettes=silhouettes,
        objectives=grouping.objectives,
    )
