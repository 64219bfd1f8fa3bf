"""What a careful reader is told."""

from dataclasses import replace

import anndata as ad
import numpy as np
import pytest

from lowdim.pl._fitted import read_fit
from lowdim.report._agreement import Agreement
from lowdim.report._trust import (
    cautions,
    describe_convergence,
    describe_selection,
    matches,
)


def test_agreement_of_restarts(searched: ad.AnnData) -> None:
    fit = read_fit(searched)
    ends = np.array([-5.0, -5.0 - 1e-6, -5.2, np.nan])
    course = describe_convergence(replace(fit, restart_objectives=ends), True, 190)
    assert (course.n_restarts, course.n_failed, course.n_agreeing) == (4, 1, 2)
    assert course.spread == pytest.approx(1e-6)
    assert course.sentence


def test_all_restarts_failed(searched: ad.AnnData) -> None:
    fit = replace(read_fit(searched), restart_objectives=np.array([np.nan]))
    assert describe_convergence(fit, False, 190).n_agreeing == 0


def test_nothing_to_say(searched: ad.AnnData) -> None:
    fit = replace(read_fit(searched), restart_objectives=np.array([-5.0, -5.0]))
    course = describe_convergence(fit, True, 190)
    assert cautions(fit, course, None, None, degenerate=False) == []


def test_every_caution(searched: ad.AnnData) -> None:
    fit = replace(
        read_fit(searched),
        restart_objectives=np.array([-5.0, -6.0]),
        stop_reason="iteration_limit",
    )
    selection = describe_selection(searched, "subspaces")
    assert selection is not None
    rows = [{**selection.rows[0]}, {**selection.rows[0], "delta": 3.0}]
    close = replace(selection, rows=rows, largest=fit.n_components)
    agreement = Agreement("type", 3, 190, ari=0.4, purity=0.6, kmeans_ari=0.5)
    course = describe_convergence(fit, False, 190)
    said = " ".join(cautions(fit, course, close, agreement, degenerate=True))
    for words in ("did not converge", "collapsed", "Only one of 2 runs", "as many components as"):
        assert words in said
    assert "1 other mixture of the ranked table is within 10" in said
    assert "k-means with as many clusters agrees better" in said
    alone = describe_convergence(replace(fit, restart_objectives=np.array([-5.0])), True, 190)
    assert "A single run" in cautions(fit, alone, None, None, degenerate=False)[0]


def test_a_later_fit_is_not_taken_for_the_best_of_the_search(searched: ad.AnnData) -> None:
    selection = describe_selection(searched, "subspaces")
    assert selection is not None
    assert matches(searched, selection, "subspaces")
    searched.uns["subspaces"]["dims"] = np.array([1, 1, 1])
    assert not matches(searched, selection, "subspaces")
    del searched.uns["subspaces_selection"]
    assert describe_selection(searched, "subspaces") is None
