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


def test_a_search_is_drawn_run_by_run(wide: SimulatedSubspaces) -> None:
    model = SubspaceMixture(4, dims="auto", n_init=2, random_state=0).fit(wide.X)
    sizes, values = model.search_trace_.T
    runs, best = ld.pl.convergence(model).lines
    np.testing.assert_array_equal(runs.get_ydata(), values)
    np.testing.assert_array_equal(best.get_ydata(), np.minimum.accumulate(values))
    assert len(values) > 10
    first = int(values.argmin())
    assert sizes[first] == len(model.weights_)
    ax = best.axes
    assert ax.texts[-1].get_text() == str(len(model.weights_))
    assert f"{len(values)} runs" in ax.get_title()
    assert f"the best at run {first + 1}" in ax.get_title()
    assert ax.get_ylabel() == "BIC (lower is better)"


def test_degenerate_runs_are_counted_and_left_out(wide: SimulatedSubspaces) -> None:
    model = SubspaceMixture(dims=[2, 1], n_init=1).fit(wide.X)
    model.search_trace_ = np.array([[1, np.inf], [1, 9.0], [2, np.inf], [2, 7.0]])
    ax = ld.pl.convergence(model)
    assert ax.get_title() == "4 runs, 2 of them degenerate; the best at run 4"
    assert [text.get_text() for text in ax.texts] == ["1", "2"]


def test_a_search_without_a_sound_run(wide: SimulatedSubspaces) -> None:
    model = SubspaceMixture(dims=[2, 1], n_init=1).fit(wide.X)
    model.search_trace_ = np.array([[1, np.inf]])
    ax = ld.pl.convergence(model)
    assert ax.get_title() == "1 run, degenerate"
    assert not ax.texts


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
