"""Marks are the Jaccard indices of the runs, bars the rows."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import lowdim as ld
from lowdim.mixture import SubspaceConsensus


def make(dims: list[int], n_runs: int = 10, *, uniform: bool = False) -> SubspaceConsensus:
    """Run 3 is the reference; rows are agreed on by 10, 20, ... percent of the runs."""
    rng = np.random.default_rng(0)
    n = len(dims)
    best = ld.SubspaceMixture(dims=dims)
    best.dims_, best.noise_variances_ = np.array(dims), np.ones(n)
    if uniform:
        best.noise_variances_[-1] = np.inf
    jaccard = rng.uniform(0, 0.99, (n_runs, n))
    jaccard[3] = 1
    others = np.delete(jaccard, 3, axis=0)
    return SubspaceConsensus(
        best=best,
        responsibilities=np.full((40, n), 1 / n),
        labels=np.zeros(40, dtype=int),
        agreement=np.repeat([1, 2, 9, 10], 10) / 10 * np.ones(40),
        jaccard=jaccard,
        reproducibility=others.mean(0),
        recurrence=(others >= 0.5).mean(0),
        objectives=np.arange(n_runs) * 1.0,
        converged=np.ones(n_runs, dtype=bool),
        ari=np.full((n_runs, n_runs), 0.8),
    )


def line(ax: plt.Axes, label: str) -> np.ndarray:
    [found] = [one for one in ax.lines if one.get_label() == label]
    return found.get_xydata()


def test_panels() -> None:
    result = make([2, 1, 0], uniform=True)
    left, right = ld.pl.consensus(result)
    np.testing.assert_allclose(line(left, "mean")[:, 0], result.reproducibility)
    runs = line(left, "a run")
    assert len(runs) == 27  # without the reference
    for k in range(3):
        expected = np.delete(result.jaccard[:, k], 3)
        np.testing.assert_allclose(runs[runs[:, 1] == k, 0], expected)
    counts = np.delete(result.jaccard >= 0.5, 3, axis=0).sum(0)
    assert [text.get_text() for text in left.texts] == [f"{n} of 9" for n in counts]
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names == ["0 (d = 2)", "1 (d = 1)", "2 (background)"]
    heights = [bar.get_height() for bar in right.patches]
    np.testing.assert_allclose(heights, [0.25, 0.25, *[0] * 6, 0.25, 0.25])
    assert right.get_title() == "10 runs, mean adjusted Rand index 0.80"


@pytest.mark.parametrize("n_runs", [5, 7, 20, 50])
def test_every_row_is_in_a_bar(n_runs: int) -> None:
    result = make([1, 0], n_runs)
    result.agreement[:] = np.arange(40) % n_runs / n_runs + 1 / n_runs
    heights = [bar.get_height() for bar in ld.pl.consensus(result, panel="agreement").patches]
    assert sum(heights) == pytest.approx(1)


def test_one_panel_and_given_axes() -> None:
    result = make([1, 0])
    _, axes = plt.subplots(1, 2)
    drawn = ld.pl.consensus(result, ax=axes)
    assert drawn[0] is axes[0] and drawn[1] is axes[1]
    _, ax = plt.subplots()
    assert ld.pl.consensus(result, panel="reproducibility", ax=ax) is ax
    assert len(ld.pl.consensus(result, panel="agreement").patches) == 10
    assert len(plt.get_fignums()) == 3


def test_nothing_that_is_written_is_cut_off() -> None:
    axes = ld.pl.consensus(make(list(range(9))))
    figure = axes[0].figure
    figure.draw_without_rendering()
    for ax in axes:
        for text in (ax.xaxis.label, ax.title, *ax.get_yticklabels(), *ax.texts):
            box = text.get_window_extent()
            assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 + 1, text.get_text()
    others = [text.get_window_extent() for text in axes[0].texts]
    assert not any(axes[1].get_tightbbox().overlaps(box) for box in others)


def test_errors() -> None:
    result = make([1, 0])
    with pytest.raises(TypeError, match="result is a list"):
        ld.pl.consensus([])
    with pytest.raises(ValueError, match="panel='rows'"):
        ld.pl.consensus(result, panel="rows")
    with pytest.raises(ValueError, match="ax holds 1 Axes"):
        ld.pl.consensus(result, ax=plt.subplots()[1])
    with pytest.raises(TypeError, match="ax is a int"):
        ld.pl.consensus(result, ax=[1, 2])


def test_of_a_fit() -> None:
    planted = ld.data.subspaces([60, 40], dims=[1, 0], n_columns=3, random_state=0)
    model = ld.SubspaceMixture(dims=[1, 0], n_init=3)
    result = ld.consensus_subspaces(model, planted.X, n_runs=3, random_state=0)
    left, right = ld.pl.consensus(result)
    np.testing.assert_allclose(line(left, "mean")[:, 0], result.reproducibility)
    assert sum(bar.get_height() for bar in right.patches) == pytest.approx(1)
