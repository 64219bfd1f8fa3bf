"""Data in: row sources over anything that holds a matrix, simulated data and demo data."""

from lowdim.data.cohorts import simulate_cohort
from lowdim.data.demo import pbmc68k
from lowdim.data.hard_cohort import simulate_hard_cohort
from lowdim.data.simulate import SimulatedSubspaces, subspaces, toy
from lowdim.data.sources import RowSource, as_rows
from lowdim.data.spatial_scenarios import simulate_spatial

__all__ = [
    "RowSource",
    "SimulatedSubspaces",
    "as_rows",
    "pbmc68k",
    "simulate_cohort",
    "simulate_hard_cohort",
    "simulate_spatial",
    "subspaces",
    "toy",
]
