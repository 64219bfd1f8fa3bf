"""The command line: ``lowdim demo``, ``lowdim subspaces``, ``lowdim report``, ``lowdim info``."""

from lowdim.cli._main import main

__all__ = ["main"]
