"""The numbers of a fit that matter most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lowdim._keys import SubspaceKeys
from lowdim.get._record import find_record
from lowdim.pl._fitted import read_fit, read_rows
from lowdim.report import _text
from lowdim.report._agreement import compare
from lowdim.report._data import matrix_name
from lowdim.report._trust import describe_convergence, describe_selection

if TYPE_CHECKING:
    from anndata import AnnData


def fit_facts(adata: AnnData, key: str, labels: str | None) -> dict[str, Any]:
    """What a fit found, as plain values.

    Parameters
    ----------
    adata
        Data with a fit.
    key
        Its `key_added`.
    labels
        A column of `obs` to compare with, or None.
    """
    record = find_record(adata, key)
    fit = read_fit(adata, key)
    source = read_rows(adata, None, key, fit)
    course = describe_convergence(fit, bool(record["converged"]), source.n_rows)
    selection = describe_selection(adata, key)
    facts = {
        "key": key,
        "matrix": matrix_name(record["params"]),
        "n_rows": source.n_rows,
        "n_columns": source.n_cols,
        "n_components": fit.n_components,
        "dims": fit.dims.tolist(),
        "sizes": adata.obs[SubspaceKeys(key).labels].value_counts(sort=False).tolist(),
        **record["criteria"],
        "converged": course.converged,
        "stop_reason": fit.stop_reason,
        "n_iter": fit.n_iter,
        "n_runs": course.n_restarts,
        "n_runs_agreeing": course.n_agreeing,
        "n_mixtures_tried": None if selection is None else selection.n_tried,
    }
    if labels is not None:
        agreement = compare(adata, source, key, labels)
        facts |= {
            "labels": labels,
            "ari": agreement.ari,
            "ari_kmeans": agreement.kmeans_ari,
            "purity": agreement.purity,
        }
    return facts


def fit_lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """The same for people: names and texts."""
    tried = facts["n_mixtures_tried"]
    chosen = "" if tried is None else f", the best of {_text.count(tried, 'mixture')} tried"
    state = "converged" if facts["converged"] else "did not converge"
    agreeing = f"{facts['n_runs_agreeing']} of {_text.count(facts['n_runs'], 'run')}"
    lines = [
        ("data", f"{facts['n_rows']:,} x {facts['n_columns']:,}, {facts['matrix']}"),
        ("components", f"{facts['n_components']}{chosen}"),
        ("dimensions", _text.dims_text(facts["dims"])),
        ("rows of each", ",".join(map(str, facts["sizes"]))),
        ("BIC", f"{facts['bic']:,.1f}"),
        ("fit", f"{state} after {_text.count(facts['n_iter'], 'iteration')}"),
        ("runs that agree", f"{agreeing} with these dimensions"),
    ]
    if "ari" in facts:
        text = f"{facts['ari']:.3f} against {facts['labels']}"
        if facts["ari_kmeans"] is not None:
            clusters = _text.count(facts["n_components"], "cluster")
            text += f" (k-means, {clusters}: {facts['ari_kmeans']:.3f})"
        lines.append(("ARI", text))
    return lines
