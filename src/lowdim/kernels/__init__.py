"""Covariance functions of Gaussian processes."""

from lowdim.kernels.covariance import KERNELS, Kernel

__all__ = ["KERNELS", "Kernel"]
