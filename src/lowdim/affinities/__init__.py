"""Affinities: how much rows belong together, from their distances."""

from lowdim.affinities._graph import Graph
from lowdim.affinities.entropic import EntropicAffinity

__all__ = ["EntropicAffinity", "Graph"]
