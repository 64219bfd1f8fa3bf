"""Embeddings: layouts of rows in few dimensions that keep neighbours together."""

from lowdim.embedding.cosne import COSNE
from lowdim.embedding.infotsne import InfoTSNE
from lowdim.embedding.largevis import LargeVis
from lowdim.embedding.neighbor_embedding import NeighborEmbedding
from lowdim.embedding.output_affinities import (
    NormalizedGaussianAffinity,
    NormalizedHyperbolicAffinity,
    NormalizedKernelAffinity,
    NormalizedStudentAffinity,
    OutputAffinity,
)
from lowdim.embedding.sne import SNE
from lowdim.embedding.tsne import TSNE
from lowdim.embedding.tsnekhorn import TSNEkhorn
from lowdim.embedding.umap import UMAP

__all__ = [
    "COSNE",
    "SNE",
    "TSNE",
    "UMAP",
    "InfoTSNE",
    "LargeVis",
    "NeighborEmbedding",
    "NormalizedGaussianAffinity",
    "NormalizedHyperbolicAffinity",
    "NormalizedKernelAffinity",
    "NormalizedStudentAffinity",
    "OutputAffinity",
    "TSNEkhorn",
]
