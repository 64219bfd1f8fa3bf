"""Samples as distributions: a mixture for every patient, and distances between them."""

from lowdim.samples.dataset import SampleDataset
from lowdim.samples.ground_metric import GroundMetric
from lowdim.samples.mixtures import SampleGaussianMixtures

__all__ = ["GroundMetric", "SampleDataset", "SampleGaussianMixtures"]
