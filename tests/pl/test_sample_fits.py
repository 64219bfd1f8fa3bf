"""Pictures of how samples were fitted and judged: they show the numbers of the tables."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import lowdim as ld
from lowdim.samples import cross_validate_samples, permutation_test


@pytest.fixture(scope="module")
def cohort() -> ad.AnnData:
    return ld.data.simulate_cohort(
        12, 80, 4, n_components=3, signal="mean", separation=6.0, random_state=1
    )


@pytest.fixture(scope="module")
def chosen(cohort: ad.AnnData) -> ld.SampleGaussianMixtures:
    model = ld.SampleGaussianMixtures([1, 2, 3], criterion="heldout_nll", random_state=0)
    return model.fit(cohort.X, cohort.obs["sample"])


@pytest.fixture(scope="module")
def metric(cohort: ad.AnnData, chosen: ld.SampleGaussianMixtures) -> ld.GroundMetric:
    labels = cohort.uns["truth"]["labels"]
    model = ld.GroundMetric(2, max_iter=60, alpha=1.0, random_state=0)
    return model.fit(chosen.mixtures(), labels)


def test_lines_are_the_criterion_above_its_best(chosen: ld.SampleGaussianMixtures) -> None:
    above, below = ld.pl.sample_selection(chosen)
    lines = above.collections[0].get_segments()
    for (_, own), line in zip(chosen.selection_.groupby("sample"), lines, strict=True):
        own = own[~own["degenerate"]].sort_values("n_components")
        np.testing.assert_allclose(line[:, 0], own["n_components"])
        np.testing.assert_allclose(line[:, 1], own["score"] - own["score"].min())
    np.testing.assert_array_equal(above.lines[0].get_xdata(), chosen.n_components_)
    counts = {int(p.get_x() + p.get_width() / 2): p.get_height() for p in below.patches}
    assert counts == {k: int((chosen.n_components_ == k).sum()) for k in (1, 2, 3)}
    assert above.get_ylabel() == "held-out NLL above the best"


def test_degenerate_fits_are_no_choice() -> None:
    table = pd.DataFrame(
        {
            "sample": ["a", "a", "b", "b"],
            "n_components": [1, 2, 1, 2],
            "score": [3.0, 1.0, 5.0, 4.0],
            "degenerate": [False, True, True, True],
        }
    )
    model = SimpleNamespace(selection_=table, fit=None)
    above, _ = ld.pl.sample_selection(model)
    assert list(above.lines[0].get_xdata()) == [1, 2]


def test_held_out_cells_against_fitted_ones(chosen: ld.SampleGaussianMixtures) -> None:
    ax = ld.pl.sample_validation(chosen, n_names=2)
    table = chosen.selection_.set_index(["sample", "n_components"])
    picked = table.loc[list(zip(chosen.names_, chosen.n_components_, strict=True))]
    expected = picked[["train_nll", "validation_nll"]].to_numpy()
    np.testing.assert_allclose(ax.collections[0].get_offsets(), expected)
    gap = expected[:, 1] - expected[:, 0]
    named = {text.get_text() for text in ax.texts}
    assert named == set(chosen.names_[np.argsort(-gap)[:2]])


def test_own_mixture_against_the_nearest(
    cohort: ad.AnnData, chosen: ld.SampleGaussianMixtures
) -> None:
    table = chosen.validate(cohort.X, cohort.obs["sample"])
    ax = ld.pl.sample_validation(table, n_names=1)
    np.testing.assert_allclose(ax.collections[0].get_offsets(), table[["nll", "nearest_nll"]])
    assert ax.texts[0].get_text() == (table["nearest_nll"] - table["nll"]).idxmin()


def test_mixtures_without_a_choice_are_an_error(cohort: ad.AnnData) -> None:
    model = ld.SampleGaussianMixtures(2, random_state=0).fit(cohort.X, cohort.obs["sample"])
    with pytest.raises(ValueError, match="number of components that was given"):
        ld.pl.sample_selection(model)
    with pytest.raises(ValueError, match="No cells were held out"):
        ld.pl.sample_validation(model)
    with pytest.raises(TypeError, match="got int"):
        ld.pl.sample_selection(3)
    with pytest.raises(TypeError, match="SampleDataset without mixtures"):
        ld.pl.sample_selection(ld.SampleDataset.from_anndata(cohort, sample_key="sample"))
    with pytest.raises(KeyError, match=r"run ld.tl.fit_gmm first"):
        ld.pl.sample_selection(cohort)


def test_the_course_of_a_metric(metric: ld.GroundMetric) -> None:
    loss, active = ld.pl.metric_history(metric)
    assert [line.get_label() for line in loss.lines] == ["loss", "hinge"]
    np.testing.assert_array_equal(loss.lines[0].get_ydata(), metric.history_["loss"])
    np.testing.assert_array_equal(active.lines[0].get_ydata(), metric.history_["active"])
    with pytest.raises(ValueError, match="not fitted"):
        ld.pl.metric_history(ld.GroundMetric())
    with pytest.raises(ValueError, match="no ground metric in 'ground_metric'"):
        ld.pl.metric_history(ad.AnnData(np.ones((2, 2))))


def test_bars_are_the_loadings_of_both_signs(metric: ld.GroundMetric) -> None:
    panels = ld.pl.metric_loadings(metric, n_genes=4)
    lengths = (metric.components_**2).sum(1)
    for panel, k in zip(panels, np.argsort(-lengths), strict=True):
        values = [bar.get_width() for bar in panel.patches]
        np.testing.assert_allclose(values, np.sort(metric.components_[k])[::-1])
        assert panel.get_title() == f"axis {k} ({lengths[k] / lengths.sum():.0%})"
        ticks = [tick.get_text() for tick in panel.get_yticklabels()]
        assert ticks == [str(j) for j in np.argsort(-metric.components_[k])]
    assert ld.pl.metric_loadings(metric, 1).get_title().startswith("axis 1")
    with pytest.raises(ValueError, match="axis=2 is not one of the 2 axes"):
        ld.pl.metric_loadings(metric, 2)


def cells(ax: Any) -> dict[tuple[int, int], str]:
    return {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in ax.texts}


def test_confusion_has_counts_and_shares() -> None:
    true, predicted = list("aaaabbc"), list("aaabbba")
    ax = ld.pl.confusion(true, predicted)
    np.testing.assert_allclose(ax.images[0].get_array(), [[0.75, 0.25, 0], [0, 1, 0], [1, 0, 0]])
    assert cells(ax) == {(0, 0): "3\n75%", (0, 1): "1\n25%", (1, 1): "2\n100%", (2, 0): "1\n100%"}
    assert ax.get_title() == "accuracy 0.71, balanced 0.58"
    table = pd.crosstab(np.array(list("ab")), np.array(list("ab")))
    assert ld.pl.confusion(table).get_title() == "accuracy 1.00, balanced 1.00"
    numbers = ld.pl.confusion([2, 10], [10, 2]).get_yticklabels()
    assert [tick.get_text() for tick in numbers] == ["2", "10"]
    with pytest.raises(ValueError, match=r"predicted has shape \(2,\)"):
        ld.pl.confusion(true, ["a", "b"])
    with pytest.raises(TypeError, match="got list"):
        ld.pl.confusion(true)


def test_scores_stand_over_those_of_shuffled_labels(cohort: ad.AnnData) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b"], 10)
    points = rng.normal(size=20) + 3.0 * (labels == "b")
    matrix = np.abs(points[:, None] - points)
    found = cross_validate_samples(matrix, labels, n_repeats=2, random_state=0)
    test = permutation_test(matrix, labels, n_permutations=19, random_state=0)
    ax = ld.pl.sample_scores(found, test)
    dots = ax.collections[0].get_offsets()
    np.testing.assert_allclose(dots[:, 0], found.table["balanced_accuracy"])
    assert list(ax.lines[0].get_xdata()) == [found.score] * 2
    assert len(ax.patches) == len(np.unique(test.null_scores.round(3)))
    assert f"p = {test.p_value:.2g}" in ax.texts[0].get_text()
    assert ld.pl.confusion(found).images
    several = ld.pl.sample_scores({"one": found, "two": found}, {"two": test}, score="accuracy")
    assert [tick.get_text() for tick in several.get_yticklabels()] == ["one", "two"]
    assert several.get_xlabel() == "accuracy"
    with pytest.raises(ValueError, match="permutation has 'three'"):
        ld.pl.sample_scores({"one": found}, {"three": test})
    with pytest.raises(TypeError, match="validation must be"):
        ld.pl.sample_scores(matrix)
    plt.close("all")
