"""Embeddings: layouts of rows in few dimensions that keep neighbours together."""

from lowdim.embedding.tsne import TSNE
from lowdim.embedding.umap import UMAP

__all__ = ["TSNE", "UMAP"]
