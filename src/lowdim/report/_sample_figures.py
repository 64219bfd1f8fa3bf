"""The figures of a report on samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lowdim import get, pl
from lowdim.report._figures import Picture, drawn, drawn_panels

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim.samples import SampleDataset

_MOST_MIXTURES = 12
_N_GENES = 10


def sample_map(adata: AnnData, key: str, labels: Any, clusters: Any) -> Picture:
    """Samples in a plane."""
    return drawn(
        lambda ax: pl.sample_map(adata, labels, key=key, clusters=clusters, ax=ax),
        (5.4, 4.6),
        "Map of the samples: points that lie about as far apart as their distances say.",
    )


def distances(adata: AnnData, key: str, labels: Any, n_samples: int) -> Picture:
    """The distances of all pairs."""
    side = min(5.4 + 0.02 * n_samples, 8.0)
    return drawn(
        lambda ax: pl.sample_distances(adata, labels, key=key, ax=ax),
        (side + 4.0, side + 0.8),
        "Heat map of the distances between all samples, in the order of the tree beside it.",
    )


def mixtures(dataset: SampleDataset, projection: Any) -> Picture:
    """Components of the first samples over their cells."""
    names = list(dataset.names[:_MOST_MIXTURES])
    return drawn_panels(
        lambda ax: pl.sample_mixtures(
            dataset, projection=projection, samples=names, by="sample", ax=ax
        ),
        len(names),
        4,
        (2.5, 2.4),
        "The cells of samples, a panel each, with the components of their mixtures as ellipses.",
    )


def selection(source: Any) -> Picture:
    """How many components samples have."""
    return drawn_panels(
        lambda ax: pl.sample_selection(source, ax=ax),
        2,
        2,
        (4.4, 2.8),
        "The criterion of every sample against the number of components, and what was chosen.",
    )


def history(adata: AnnData, key: str) -> Picture:
    """The course of the metric."""
    return drawn_panels(
        lambda ax: pl.metric_history(adata, key=key, ax=ax),
        2,
        2,
        (4.2, 2.8),
        "The loss of the ground metric after every epoch, and the share of active triplets.",
    )


def loadings(adata: AnnData, key: str) -> Picture:
    """The genes of the learned axes."""
    n_axes = get.metric_loadings(adata, key).shape[1]
    return drawn_panels(
        lambda ax: pl.metric_loadings(adata, n_genes=_N_GENES, key=key, ax=ax),
        n_axes,
        4,
        (2.5, 2.4),
        "Bars of the genes that load most on each axis of the ground metric, of either sign.",
    )


def scores(adata: AnnData, key: str) -> Picture:
    """Cross-validated scores."""
    n = len(get.sample_validation(adata, key))
    return drawn(
        lambda ax: pl.sample_scores(adata, key=key, ax=ax),
        (6.4, 1.3 + 0.5 * n),
        "Scores of the predicted labels of samples, of all folds, for each kind of distances.",
    )


def confusion(validation: Any, n_labels: int) -> Picture:
    """What samples were taken for."""
    side = 2.4 + 0.5 * n_labels
    return drawn(
        lambda ax: pl.confusion(validation, ax=ax),
        (side + 1.2, side),
        "Table of true against predicted labels.",
    )
