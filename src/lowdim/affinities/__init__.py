"""Affinities: how much rows belong together, from their distances."""

from lowdim.affinities._graph import Graph
from lowdim.affinities.adaptive import MAGICAffinity, SelfTuningAffinity
from lowdim.affinities.diffusion import DiffusionPotential, Potential
from lowdim.affinities.doubly_stochastic import QuadraticAffinity, SinkhornAffinity
from lowdim.affinities.entropic import EntropicAffinity
from lowdim.affinities.fixed import (
    GaussianAffinity,
    MultiscaleAffinity,
    StudentAffinity,
    UniformAffinity,
)
from lowdim.affinities.fuzzy import UMAPAffinity
from lowdim.affinities.pairs import Pairs, pacmap_pairs
from lowdim.affinities.precomputed import PrecomputedAffinity
from lowdim.affinities.symmetric_entropic import SymmetricEntropicAffinity

__all__ = [
    "DiffusionPotential",
    "EntropicAffinity",
    "GaussianAffinity",
    "Graph",
    "MAGICAffinity",
    "MultiscaleAffinity",
    "Pairs",
    "Potential",
    "PrecomputedAffinity",
    "QuadraticAffinity",
    "SelfTuningAffinity",
    "SinkhornAffinity",
    "StudentAffinity",
    "SymmetricEntropicAffinity",
    "UMAPAffinity",
    "UniformAffinity",
    "pacmap_pairs",
]
