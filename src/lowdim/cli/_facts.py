"""The numbers of a fit that matter most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lowdim import get
from lowdim._keys import MixtureKeys
from lowdim.get._record import find_fit
from lowdim.pl._fitted import read_fit, read_rows
from lowdim.report import _text
from lowdim.report._agreement import compare
from lowdim.report._data import matrix_name
from lowdim.report._trust import CRITERIA, describe_convergence, describe_selection

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim.pl._fitted import FittedSubspaces


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
    record: Any = find_fit(adata, key)
    fit = read_fit(adata, key)
    source = read_rows(adata, None, key, fit)
    course = describe_convergence(fit, bool(record["converged"]), source.n_rows)
    facts = {
        "key": key,
        "matrix": matrix_name(record["params"]),
        "n_rows": source.n_rows,
        "n_columns": source.n_cols,
        "n_components": fit.n_components,
        **_about_family(adata, record, key, fit),
        "sizes": adata.obs[MixtureKeys(key).labels].value_counts(sort=False).tolist(),
        **record.get("criteria", {}),
        "converged": course.converged,
        "stop_reason": fit.stop_reason,
        "n_iter": fit.n_iter,
        "n_runs": course.n_restarts,
        "n_runs_agreeing": course.n_agreeing,
    }
    if labels is not None:
        counts = record.get("family") == "negative_binomial"
        agreement = compare(adata, None if counts else source, key, labels)
        facts |= {
            "labels": labels,
            "ari": agreement.ari,
            "ari_kmeans": agreement.kmeans_ari,
            "purity": agreement.purity,
        }
    return facts


def _about_family(adata: AnnData, record: Any, key: str, fit: FittedSubspaces) -> dict[str, Any]:
    """Dimensions of subspaces, or the family of another mixture; and how many were tried."""
    if "bases" in record:
        selection = describe_selection(adata, key)
        tried = None if selection is None else selection.n_tried
        return {"dims": fit.dims.tolist(), "n_mixtures_tried": tried}
    criterion, sizes = None, None
    if MixtureKeys(key).selection in adata.uns:
        table = get.selection(adata, key)
        criterion, sizes = table.attrs["criterion"], table["n_components"].tolist()
    return {"family": record["family"], "criterion": criterion, "sizes_tried": sizes}


def fit_lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """The same for people: names and texts."""
    state = "converged" if facts["converged"] else "did not converge"
    agreeing = f"{facts['n_runs_agreeing']} of {_text.count(facts['n_runs'], 'run')}"
    lines = [
        ("data", f"{facts['n_rows']:,} x {facts['n_columns']:,}, {facts['matrix']}"),
        ("components", f"{facts['n_components']}{_chosen(facts)}"),
    ]
    if "dims" in facts:
        lines.append(("dimensions", _text.dims_text(facts["dims"])))
        agreeing += " with these dimensions"
    else:
        lines.append(("family", facts["family"].replace("_", " ")))
    lines.append(("rows of each", ",".join(map(str, facts["sizes"]))))
    if "bic" in facts:
        lines.append(("BIC", f"{facts['bic']:,.1f}"))
    lines += [
        ("fit", f"{state} after {_text.count(facts['n_iter'], 'iteration')}"),
        ("runs that agree", agreeing),
    ]
    if "ari" in facts:
        text = f"{facts['ari']:.3f} against {facts['labels']}"
        if facts["ari_kmeans"] is not None:
            clusters = _text.count(facts["n_components"], "cluster")
            text += f" (k-means, {clusters}: {facts['ari_kmeans']:.3f})"
        lines.append(("ARI", text))
    return lines


def _chosen(facts: dict[str, Any]) -> str:
    """From what the number of components was chosen, if it was."""
    if facts.get("n_mixtures_tried") is not None:
        return f", the best of {_text.count(facts['n_mixtures_tried'], 'mixture')} tried"
    if facts.get("criterion") is not None:
        tried = ", ".join(map(str, facts["sizes_tried"]))
        return f", chosen by {CRITERIA[facts['criterion']]} from {tried}"
    return ""
