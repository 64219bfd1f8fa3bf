"""Samples as distributions: a mixture for every patient, and distances between them."""

from lowdim.samples.mixtures import SampleGaussianMixtures

__all__ = ["SampleGaussianMixtures"]
