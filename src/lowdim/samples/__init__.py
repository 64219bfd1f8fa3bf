"""Samples as distributions: a mixture for every patient, and distances between them."""

from lowdim.samples._neighbours import knn_predict
from lowdim.samples.baselines import baseline_distances
from lowdim.samples.dataset import SampleDataset
from lowdim.samples.evaluation import CrossValidation, cross_validate_samples
from lowdim.samples.ground_metric import GroundMetric
from lowdim.samples.mixtures import SampleGaussianMixtures
from lowdim.samples.permutation import PermutationTest, permutation_test

__all__ = [
    "CrossValidation",
    "GroundMetric",
    "PermutationTest",
    "SampleDataset",
    "SampleGaussianMixtures",
    "baseline_distances",
    "cross_validate_samples",
    "knn_predict",
    "permutation_test",
]
