"""The line is the trace, the ticks are the restarts."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pytest

import lowdim as ld
from lowdim import SubspaceMixture
from lowdim.data import SimulatedSubspaces


def test_trace_and_restarts(wide: SimulatedSubspaces) -> None:
    model = SubspaceMixture(dims=[2, 1], n_init=4, random_state=0).fit(wide.X)
    model.restart_objectives_[2] = np.nan
    trace, ends = ld.pl.convergence(model).lines
    np.testing.assert_array_equal(trace.get_ydata(), model.objective_trace_)
    np.testing.assert_array_equal(ends.get_ydata(), model.restart_objectives_[[0, 1, 3]])
    assert ends.get_label() == "ends of 4 restarts (1 failed)"
    assert trace.axes.get_title() == f"converged after {model.n_iter_} iterations"
    low, high = trace.axes.get_ylim()
    assert low < np.nanmin(model.restart_objectives_) and high > model.objective_trace_.max()


def test_a_single_restart_has_no_ticks(model: SubspaceMixture) -> None:
    assert len(ld.pl.convergence(model).lines) == 1


def test_of_an_anndata(adata: ad.AnnData) -> None:
    figure, ax = plt.subplots()
    assert ld.pl.convergence(adata, ax=ax) is ax
    np.testing.assert_array_equal(
        ax.lines[0].get_ydata(), adata.uns["subspaces"]["objective_trace"]
    )
    assert plt.get_fignums() == [figure.number]
    with pytest.raises(ValueError, match="nothing"):
        ld.pl.convergence(adata, key="nothing")
    with pytest.raises(ValueError, match="not 2-dimensional"):
        ld.pl.convergence(adata, ax=plt.figure().add_subplot(projection="3d"))
