"""Samples as distributions: a mixture for every patient, and distances between them."""

from lowdim.samples.dataset import SampleDataset
from lowdim.samples.mixtures import SampleGaussianMixtures

__all__ = ["SampleDataset", "SampleGaussianMixtures"]
