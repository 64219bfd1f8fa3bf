"""scikit-learn's own checks of the estimators."""

from __future__ import annotations

from collections.abc import Callable

from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks

from lowdim import (
    COSNE,
    PCA,
    PHATE,
    SNE,
    TSNE,
    UMAP,
    IncrementalPCA,
    InfoTSNE,
    KernelPCA,
    LandmarkEmbedding,
    LaplacianEigenmaps,
    LargeVis,
    NeighborEmbedding,
    PaCMAP,
    TSNEkhorn,
)
from lowdim.affinities import EntropicAffinity

PLACED = (
    "rows of the fit are placed anew by transform, near their places in the layout and not at them "
    "(test_new_rows_come_to_their_like)"
)
FAILURES = {
    "check_transformer_general": PLACED,
    "check_transformer_data_not_an_array": PLACED,
}
#: Estimators whose transform does to rows of the fit what fit_transform does.
EXACT = (PCA, IncrementalPCA, KernelPCA)


@parametrize_with_checks(
    [
        TSNE(perplexity=2, max_iter=60),
        UMAP(n_epochs=60),
        LargeVis(perplexity=2, max_iter=60),
        InfoTSNE(perplexity=2, max_iter=60),
        PaCMAP(n_neighbors=2, num_iters=(5, 5, 5)),
        PHATE(knn=2),
        LaplacianEigenmaps(n_neighbors=8),
        PCA(),
        IncrementalPCA(),
        KernelPCA(),
        NeighborEmbedding(EntropicAffinity(2), "gaussian", max_iter=30),
        SNE(perplexity=2, max_iter=30),
        TSNEkhorn(perplexity=2, symmetric_affinity=False, max_iter=30),
        COSNE(perplexity=2, max_iter=30),
        LandmarkEmbedding(TSNE(perplexity=2, max_iter=60), n_landmarks=12),
    ],
    expected_failed_checks=lambda estimator: {} if isinstance(estimator, EXACT) else FAILURES,
)
def test_conventions(estimator: BaseEstimator, check: Callable) -> None:
    check(estimator)
