"""Samples as distributions: a mixture for every patient, and distances between them."""

from lowdim.samples.axes import axis_separation
from lowdim.samples.clustering import SampleClusters, cluster_samples, clustering_agreement
from lowdim.samples.dataset import SampleDataset
from lowdim.samples.embedding import classical_mds, embed_samples
from lowdim.samples.ground_metric import GroundMetric
from lowdim.samples.mixtures import SampleGaussianMixtures

__all__ = [
    "GroundMetric",
    "SampleClusters",
    "SampleDataset",
    "SampleGaussianMixtures",
    "axis_separation",
    "classical_mds",
    "cluster_samples",
    "clustering_agreement",
    "embed_samples",
]
