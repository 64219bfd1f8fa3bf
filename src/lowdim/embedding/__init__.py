"""Embeddings: layouts of rows in few dimensions that keep neighbours together."""

from lowdim.embedding.snapshots import Snapshots
from lowdim.embedding.tsne import TSNE

__all__ = ["TSNE", "Snapshots"]
