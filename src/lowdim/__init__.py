"""Find low-dimensional structure in single-cell, spatial and other high-dimensional data.

The public names load on first use, so that ``import lowdim`` costs next to nothing::

    import lowdim as ld

    model = ld.SubspaceMixture(dims=[2, 1, 1]).fit(X)  # arrays in, arrays out
    ld.tl.subspaces(adata, dims=[2, 1, 1])  # AnnData in, AnnData out
"""

from importlib import import_module
from typing import TYPE_CHECKING

from lowdim._version import __version__

if TYPE_CHECKING:
    from lowdim import data, get, kspaces, metrics, pl, pp, report, samples, tl, transport
    from lowdim.cluster import KMeans, SoftKMeans
    from lowdim.embedding import (
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
    from lowdim.factorization import (
        FactorAnalysis,
        HybridSpatialFactorization,
        PoissonNMF,
        SpatialFactorization,
        compare_factorizations,
        select_factors,
    )
    from lowdim.io import load
    from lowdim.mixture import (
        GaussianMixture,
        NegativeBinomialMixture,
        SubspaceMixture,
        bootstrap_subspaces,
        consensus_subspaces,
        select_mixture,
        select_subspaces,
    )
    from lowdim.samples import (
        GroundMetric,
        SampleDataset,
        SampleGaussianMixtures,
    )

__all__ = [
    "COSNE",
    "PCA",
    "PHATE",
    "SNE",
    "TSNE",
    "UMAP",
    "FactorAnalysis",
    "GaussianMixture",
    "GroundMetric",
    "HybridSpatialFactorization",
    "IncrementalPCA",
    "InfoTSNE",
    "KMeans",
    "KernelPCA",
    "LandmarkEmbedding",
    "LaplacianEigenmaps",
    "LargeVis",
    "NegativeBinomialMixture",
    "NeighborEmbedding",
    "PaCMAP",
    "PoissonNMF",
    "SampleDataset",
    "SampleGaussianMixtures",
    "SoftKMeans",
    "SpatialFactorization",
    "SubspaceMixture",
    "TSNEkhorn",
    "__version__",
    "bootstrap_subspaces",
    "compare_factorizations",
    "consensus_subspaces",
    "data",
    "get",
    "kspaces",
    "load",
    "metrics",
    "pl",
    "pp",
    "report",
    "samples",
    "select_factors",
    "select_mixture",
    "select_subspaces",
    "tl",
    "transport",
]

_MODULES = frozenset(
    {"data", "get", "kspaces", "metrics", "pl", "pp", "report", "samples", "tl", "transport"}
)
_HOMES = {
    "COSNE": "lowdim.embedding",
    "FactorAnalysis": "lowdim.factorization",
    "GaussianMixture": "lowdim.mixture",
    "GroundMetric": "lowdim.samples",
    "HybridSpatialFactorization": "lowdim.factorization",
    "IncrementalPCA": "lowdim.embedding",
    "InfoTSNE": "lowdim.embedding",
    "KMeans": "lowdim.cluster",
    "KernelPCA": "lowdim.embedding",
    "LandmarkEmbedding": "lowdim.embedding",
    "LaplacianEigenmaps": "lowdim.embedding",
    "LargeVis": "lowdim.embedding",
    "NegativeBinomialMixture": "lowdim.mixture",
    "NeighborEmbedding": "lowdim.embedding",
    "PCA": "lowdim.embedding",
    "PHATE": "lowdim.embedding",
    "PaCMAP": "lowdim.embedding",
    "PoissonNMF": "lowdim.factorization",
    "SNE": "lowdim.embedding",
    "SampleDataset": "lowdim.samples",
    "SampleGaussianMixtures": "lowdim.samples",
    "SoftKMeans": "lowdim.cluster",
    "SpatialFactorization": "lowdim.factorization",
    "SubspaceMixture": "lowdim.mixture",
    "TSNE": "lowdim.embedding",
    "TSNEkhorn": "lowdim.embedding",
    "UMAP": "lowdim.embedding",
    "bootstrap_subspaces": "lowdim.mixture",
    "compare_factorizations": "lowdim.factorization",
    "consensus_subspaces": "lowdim.mixture",
    "load": "lowdim.io",
    "select_factors": "lowdim.factorization",
    "select_mixture": "lowdim.mixture",
    "select_subspaces": "lowdim.mixture",
}


def __getattr__(name: str) -> object:
    """Load a public name the first time it is asked for, and keep it."""
    if name in _MODULES:
        value: object = import_module(f"lowdim.{name}")
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'lowdim' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
