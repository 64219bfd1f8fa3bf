"""Embeddings: layouts of rows in few dimensions that keep neighbours together."""

from lowdim.embedding.cosne import COSNE
from lowdim.embedding.incremental_pca import IncrementalPCA
from lowdim.embedding.infotsne import InfoTSNE
from lowdim.embedding.kernel_pca import KernelPCA
from lowdim.embedding.landmarks import LandmarkEmbedding
from lowdim.embedding.largevis import LargeVis
from lowdim.embedding.neighbor_embedding import NeighborEmbedding
from lowdim.embedding.output_affinities import (
    NormalizedGaussianAffinity,
    NormalizedHyperbolicAffinity,
    NormalizedKernelAffinity,
    NormalizedStudentAffinity,
    OutputAffinity,
)
from lowdim.embedding.pacmap import PaCMAP
from lowdim.embedding.pca import PCA
from lowdim.embedding.phate import PHATE
from lowdim.embedding.snapshots import Snapshots
from lowdim.embedding.sne import SNE
from lowdim.embedding.spectral import LaplacianEigenmaps
from lowdim.embedding.tsne import TSNE
from lowdim.embedding.tsnekhorn import TSNEkhorn
from lowdim.embedding.umap import UMAP

__all__ = [
    "COSNE",
    "PCA",
    "PHATE",
    "SNE",
    "TSNE",
    "UMAP",
    "IncrementalPCA",
    "InfoTSNE",
    "KernelPCA",
    "LandmarkEmbedding",
    "LaplacianEigenmaps",
    "LargeVis",
    "NeighborEmbedding",
    "NormalizedGaussianAffinity",
    "NormalizedHyperbolicAffinity",
    "NormalizedKernelAffinity",
    "NormalizedStudentAffinity",
    "OutputAffinity",
    "PaCMAP",
    "Snapshots",
    "TSNEkhorn",
]
