"""Embeddings: layouts of rows in few dimensions that keep neighbours together."""

from lowdim.embedding.infotsne import InfoTSNE
from lowdim.embedding.largevis import LargeVis
from lowdim.embedding.tsne import TSNE
from lowdim.embedding.umap import UMAP

__all__ = ["TSNE", "UMAP", "InfoTSNE", "LargeVis"]
