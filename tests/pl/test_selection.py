"""Points are the table, and the best is marked."""

from types import SimpleNamespace

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import lowdim as ld


@pytest.fixture
def search() -> SimpleNamespace:
    """A table as `select_subspaces` makes it."""
    table = pd.DataFrame(
        {
            "dims": [(1, 1), (2, 1), (1,), (0,), (1, 1, 0), (2, 2)],
            "n_components": [2, 2, 1, 1, 3, 2],
            "bic": [100.0, 104.0, 150.0, 180.0, 102.5, 50.0],
            "icl": [101.0, 104.0, 150.0, 180.0, 120.0, 60.0],
            "heldout": [-2.0, -1.5, -3.0, -4.0, -2.1, -1.0],
            "degenerate": [False] * 5 + [True],
        }
    )
    return SimpleNamespace(table=table, criterion="bic")


def line(ax: plt.Axes, label: str) -> np.ndarray:
    [found] = [one for one in ax.lines if one.get_label().startswith(label)]
    return found.get_xydata()


def test_points_lines_and_star(search: SimpleNamespace) -> None:
    ax = ld.pl.selection(search)
    np.testing.assert_array_equal(
        line(ax, "list"), [[2, 100], [2, 104], [1, 150], [1, 180], [3, 102.5]]
    )
    np.testing.assert_array_equal(line(ax, "degenerate"), [[2, 50]])
    np.testing.assert_array_equal(line(ax, "best of"), [[1, 150], [2, 100], [3, 102.5]])
    np.testing.assert_array_equal(line(ax, "best: 1,1\n(next is 2.5 away)"), [[2, 100]])
    assert [text.get_text() for text in ax.texts] == [
        *("d = 1 ", "1", "2", "2"),
        *("d = 0 ", "·", "·", "1"),
    ]
    assert ax.get_ylabel() == "BIC (lower is better)"
    assert ax.get_xticks().tolist() == [1, 2, 3]


@pytest.mark.parametrize("largest", [3, 11, 16])
@pytest.mark.parametrize("criterion", ["bic", "heldout"])
def test_nothing_that_is_written_overlaps(largest: int, criterion: str) -> None:
    sizes = np.arange(1, largest + 1)
    dims = [tuple(sorted((j % 5 for j in range(k)), reverse=True)) for k in sizes]
    values = {"bic": 5e4 - 900.0 * sizes, "heldout": -30 + 0.1 * sizes}
    table = pd.DataFrame({"dims": dims, "n_components": sizes, "degenerate": False, **values})
    ax = ld.pl.selection(SimpleNamespace(table=table, criterion=criterion))
    ax.figure.draw_without_rendering()
    low, high = ax.get_ylim()
    seen = [label for label in ax.get_yticklabels() if low <= label.get_position()[1] <= high]
    written = [*ax.texts, ax.xaxis.label, *ax.get_xticklabels(), *seen]
    boxes = [text.get_window_extent() for text in written]
    for i, box in enumerate(boxes):
        assert not box.count_overlaps(boxes[:i]), written[i].get_text()
    plot = ax.get_window_extent()
    assert not any(plot.overlaps(text.get_window_extent()) for text in ax.texts)


def test_other_criteria(search: SimpleNamespace) -> None:
    np.testing.assert_array_equal(
        line(ld.pl.selection(search, criterion="heldout"), "best: 2,1"), [[2, -1.5]]
    )
    search.criterion = "icl"
    assert ld.pl.selection(search).get_ylabel() == "ICL (lower is better)"
    with pytest.raises(ValueError, match=r"criterion='aic'.*'bic'"):
        ld.pl.selection(search, criterion="aic")


def test_nothing_but_degenerate_mixtures(search: SimpleNamespace) -> None:
    search.table["degenerate"] = True
    ax = ld.pl.selection(search)
    assert len(line(ax, "degenerate")) == 6
    assert not ax.texts


def test_of_an_anndata(adata: ad.AnnData) -> None:
    ld.tl.select_subspaces(adata, n_components=2, dims=1, n_init=1)
    figure, ax = plt.subplots()
    assert ld.pl.selection(adata, ax=ax) is ax
    table = ld.get.selection(adata)
    best = table.iloc[0]
    name = "best: " + ",".join(map(str, best["dims"]))
    np.testing.assert_allclose(line(ax, name), [[best["n_components"], best["bic"]]])
    assert plt.get_fignums() == [figure.number]


def test_errors(adata: ad.AnnData) -> None:
    with pytest.raises(ValueError, match=r"ld.tl.select_subspaces"):
        ld.pl.selection(adata)
    with pytest.raises(TypeError, match="got str"):
        ld.pl.selection("table")
