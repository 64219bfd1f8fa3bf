"""How the fit went, how the model was chosen, and what a careful reader should know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim import get
from lowdim._keys import SubspaceKeys
from lowdim._results import StopReason
from lowdim.report._text import count, dims_text, number

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from lowdim.pl._fitted import FittedSubspaces
    from lowdim.report._agreement import Agreement

MAX_RANKED = 15
"""Mixtures in the ranked table."""

AGREEMENT = 1e-5
"""Restarts agree whose log-likelihoods differ by less than this share, or by 0.1 nats."""

_FIRM = 10.0
"""A difference in BIC from which the better model is strongly preferred (Kass and Raftery)."""

CRITERIA = {
    "bic": "BIC",
    "icl": "ICL",
    "aic": "AIC",
    "elbow": "the elbow of the objective",
    "heldout": "the log-likelihood of rows held out",
}


@dataclass(frozen=True)
class Convergence:
    """The course of the fit.

    Attributes
    ----------
    sentence
        Why it stopped, in words.
    n_iter
        Passes over the data.
    n_restarts, n_failed, n_agreeing
        Restarts, those that failed, and those that reached the best objective.
    spread
        Best minus median objective of the restarts, per row.
    n_searched
        Runs of the search; 0 without one.
    """

    converged: bool
    sentence: str
    n_iter: int
    n_restarts: int
    n_failed: int
    n_agreeing: int
    spread: float
    n_searched: int


@dataclass(frozen=True)
class Selection:
    """A search.

    Attributes
    ----------
    criterion
        Its name in words.
    rows
        The best mixtures, as dicts of the table's columns with `dims` as text and `delta`, how
        much worse the criterion is than the best.
    n_tried, n_degenerate, largest
        Mixtures in the table, those that collapsed, and the largest number of components tried.
    """

    criterion: str
    column: str
    rows: list[dict[str, Any]]
    n_tried: int
    n_degenerate: int
    largest: int


def describe_convergence(fit: FittedSubspaces, converged: bool, n_rows: int) -> Convergence:
    """Say how a fit went."""
    ends = fit.restart_objectives
    finite = ends[np.isfinite(ends)]
    best = float(finite.max()) if finite.size else float("nan")
    within = max(0.1 / n_rows, AGREEMENT * abs(best))
    return Convergence(
        converged=converged,
        sentence=StopReason(fit.stop_reason).sentence,
        n_iter=fit.n_iter,
        n_restarts=len(ends),
        n_failed=len(ends) - len(finite),
        n_agreeing=int((best - finite < within).sum()),
        spread=best - float(np.median(finite)) if finite.size else float("nan"),
        n_searched=len(fit.search_trace),
    )


def describe_selection(adata: AnnData, key: str) -> Selection | None:
    """The ranked table of the search behind a fit; None where there was none."""
    if SubspaceKeys(key).selection not in adata.uns:
        return None
    table = get.selection(adata, key)
    criterion = str(table.attrs["criterion"])
    return Selection(
        criterion=CRITERIA[criterion],
        column=criterion,
        rows=_ranked(table, criterion),
        n_tried=len(table),
        n_degenerate=int(table["degenerate"].sum()),
        largest=int(table["n_components"].max()),
    )


def matches(adata: AnnData, selection: Selection, key: str) -> bool:
    """Whether the fit is the best mixture of the search, not one fitted afterwards."""
    return selection.rows[0]["dims"] == dims_text(adata.uns[SubspaceKeys(key).record]["dims"])


def _ranked(table: pd.DataFrame, criterion: str) -> list[dict[str, Any]]:
    sign = -1.0 if criterion == "heldout" else 1.0
    best = float(table[criterion].iloc[0])
    rows = []
    for i in range(min(len(table), MAX_RANKED)):
        row = {str(column): table[column].iloc[i] for column in table.columns}
        row["delta"] = sign * (float(row[criterion]) - best)
        row["dims"] = dims_text(row["dims"])
        rows.append(row)
    return rows


def cautions(
    fit: FittedSubspaces,
    course: Convergence,
    selection: Selection | None,
    agreement: Agreement | None,
    degenerate: bool,
) -> list[str]:
    """What limits the conclusions, in plain words; empty if nothing does."""
    said = []
    if not course.converged:
        said.append(f"The fit did not converge. {course.sentence}")
    if degenerate:
        said.append(
            "A component collapsed onto too few rows, or onto the floor of the variances; ask for "
            "fewer components or dimensions."
        )
    if course.n_agreeing < 2:
        these = " with these dimensions" if fit.are_subspaces else ""
        said.append(
            f"Only one of {count(course.n_restarts, 'run')}{these} reached the best "
            "objective, so a better one may exist. Increase n_init, or try another random_state."
            if course.n_restarts > 1
            else "A single run led to this result, and none confirms that it is the best there is. "
            "Increase n_init, or try another random_state."
        )
    if selection is not None:
        said += _cautions_of_search(fit, selection)
    if agreement is not None and agreement.kmeans_ari is not None:
        ahead = agreement.kmeans_ari - agreement.ari
        if ahead > 0.005:
            said.append(
                f"k-means with as many clusters agrees better with “{agreement.labels}” "
                f"(ARI {agreement.kmeans_ari:.3f} against {agreement.ari:.3f}). A component is one "
                "way in which rows vary, and that need not be one label."
            )
    return said


def _cautions_of_search(fit: FittedSubspaces, selection: Selection) -> list[str]:
    said = []
    if fit.n_components == selection.largest:
        said.append(
            f"The best mixture has as many components as the search tried ({selection.largest}). "
            "More may be better still: raise n_components."
        )
    if selection.column in ("bic", "icl") and len(selection.rows) > 1:
        close = [row for row in selection.rows[1:] if row["delta"] < _FIRM]
        if close:
            said.append(
                f"{count(len(close), 'other mixture')} of the ranked table "
                f"{'is' if len(close) == 1 else 'are'} within {number(_FIRM)} of the best "
                f"{selection.column.upper()}: the data hardly prefer one to the other."
            )
    return said
