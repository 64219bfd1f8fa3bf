"""Samples as distributions: a mixture for every patient, and distances between them."""

from lowdim.samples._neighbours import knn_predict
from lowdim.samples.axes import axis_separation
from lowdim.samples.baselines import baseline_distances
from lowdim.samples.clustering import SampleClusters, cluster_samples, clustering_agreement
from lowdim.samples.dataset import SampleDataset
from lowdim.samples.embedding import classical_mds, embed_samples
from lowdim.samples.evaluation import CrossValidation, cross_validate_samples
from lowdim.samples.families import ComponentFamilies, component_families
from lowdim.samples.ground_metric import GroundMetric
from lowdim.samples.mixtures import SampleGaussianMixtures
from lowdim.samples.permutation import PermutationTest, permutation_test
from lowdim.samples.training import train, train_gmm

__all__ = [
    "ComponentFamilies",
    "CrossValidation",
    "GroundMetric",
    "PermutationTest",
    "SampleClusters",
    "SampleDataset",
    "SampleGaussianMixtures",
    "axis_separation",
    "baseline_distances",
    "classical_mds",
    "cluster_samples",
    "clustering_agreement",
    "component_families",
    "cross_validate_samples",
    "embed_samples",
    "knn_predict",
    "permutation_test",
    "train",
    "train_gmm",
]
