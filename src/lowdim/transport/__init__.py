"""Optimal transport between Gaussians, their mixtures, and discrete measures."""

from lowdim.transport.barycenters import bures_barycenter, gaussian_barycenter
from lowdim.transport.clouds import Clouds, cloud_distances
from lowdim.transport.gaussians import bures_squared, gaussian_wasserstein
from lowdim.transport.mixtures import Mixtures, mixture_distances
from lowdim.transport.plans import entropic_plan, transport_plan

__all__ = [
    "Clouds",
    "Mixtures",
    "bures_barycenter",
    "bures_squared",
    "cloud_distances",
    "entropic_plan",
    "gaussian_barycenter",
    "gaussian_wasserstein",
    "mixture_distances",
    "transport_plan",
]
