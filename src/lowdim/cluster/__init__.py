"""Clusters around centroids."""

from lowdim.cluster.kmeans import KMeans
from lowdim.cluster.soft_kmeans import SoftKMeans

__all__ = ["KMeans", "SoftKMeans"]
