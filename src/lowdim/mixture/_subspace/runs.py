"""What runs of EM within a search came to, and how a file keeps that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lowdim._checkpoint import Arrays
from lowdim.mixture._checkpoint import (
    parameters_as_arrays,
    parameters_of,
    traces_as_arrays,
    traces_of,
)
from lowdim.mixture._subspace.parameters import SubspaceParameters

#: What a file keeps of them as it is.
OF_RUNS = ("dims", "log_likelihoods", "n_iter", "converged", "degenerate", "kept")


@dataclass(frozen=True)
class Runs:
    """What runs of EM with the same number of components came to.

    Attributes
    ----------
    dims : ndarray of shape (n, K)
        Of the learned components, descending.
    log_likelihoods : ndarray of shape (n,)
        Total, standardised units.
    n_iter, converged, degenerate : ndarray of shape (n,)
    traces : list of list of float
    kept : ndarray of shape (m,)
        Runs that are the best so far with their dimensions.
    parameters : SubspaceParameters
        A batch of these.
    """

    dims: np.ndarray
    log_likelihoods: np.ndarray
    n_iter: np.ndarray
    converged: np.ndarray
    degenerate: np.ndarray
    traces: list[list[float]]
    kept: np.ndarray
    parameters: SubspaceParameters

    def as_arrays(self) -> Arrays:
        """For a file."""
        arrays: Arrays = {name: getattr(self, name) for name in OF_RUNS}
        arrays |= traces_as_arrays(self.traces)
        return arrays | parameters_as_arrays("kept", self.parameters)

    @classmethod
    def of_arrays(cls, arrays: Arrays, like: SubspaceParameters) -> Runs:
        """The inverse of `as_arrays`."""
        return cls(
            **{name: arrays[name] for name in OF_RUNS},
            traces=traces_of(arrays),
            parameters=parameters_of("kept", arrays, like),
        )
