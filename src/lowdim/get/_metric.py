"""The axes of a ground metric over the genes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lowdim._validation import check_in, check_positive_int

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._typing import Float64Array

#: By which genes of an axis are ranked.
SIGNS = ("loading", "positive", "negative")


def has_metric(adata: Any, key: str) -> bool:
    """Whether ``uns[key]`` is a fit of `ld.tl.ground_metric`."""
    record = getattr(adata, "uns", {}).get(key)
    return isinstance(record, Mapping) and "components" in record and "history" in record


def find_metric(adata: Any, key: str) -> Mapping[str, Any]:
    """The fit of `ld.tl.ground_metric` in ``uns[key]``.

    Raises
    ------
    TypeError
        `adata` is no AnnData.
    ValueError
        There is no such fit.
    """
    if not hasattr(adata, "uns"):
        raise TypeError(f"adata is a {type(adata).__name__}, not an AnnData.")
    if not has_metric(adata, key):
        raise ValueError(
            f"adata.uns has no ground metric in {key!r}; run ld.tl.ground_metric(adata, "
            f"key_added={key!r}) first."
        )
    record: Mapping[str, Any] = adata.uns[key]
    return record


def metric_axes(source: Any, key: str) -> tuple[Float64Array, list[str]]:
    """Loadings (n, r) of a fitted `GroundMetric` or an AnnData, and what they are over.

    Raises
    ------
    TypeError, ValueError
        `source` is neither, or the metric does not lead back to genes.
    """
    if hasattr(source, "components_"):
        W = np.asarray(source.components_, dtype=np.float64)
        names = getattr(source, "feature_names_in_", None)
        return W.T, [str(j) for j in (range(W.shape[1]) if names is None else names)]
    if hasattr(source, "fit"):
        raise ValueError(f"This {type(source).__name__} is not fitted; call fit first.")
    if not hasattr(source, "varm"):
        raise TypeError(
            f"Expected a fitted GroundMetric or an AnnData, got {type(source).__name__}."
        )
    record = find_metric(source, key)
    if key not in source.varm:
        use_rep = record.get("params", {}).get("use_rep")
        raise ValueError(
            f"key={key!r} has no loadings: adata.obsm[{use_rep!r}] does not lead back to the "
            "genes. Fit X, a layer, or principal components whose axes are in adata.varm, such "
            "as 'X_pca' with 'PCs'."
        )
    return np.asarray(source.varm[key], dtype=np.float64), [str(g) for g in source.var_names]


def metric_loadings(adata: AnnData, key: str = "ground_metric") -> pd.DataFrame:
    """The axes of a ground metric as columns over the genes.

    Parameters
    ----------
    adata
        Data with the results of `ld.tl.ground_metric`; a fitted `GroundMetric` does too.
    key
        Its `key_added`.

    Returns
    -------
    Genes x axes ("0", "1", ...). The sign of an axis is arbitrary.

    Raises
    ------
    TypeError, ValueError
        There are no such results, or they do not lead back to genes.
    """
    loadings, genes = metric_axes(adata, key)
    axes = [str(k) for k in range(loadings.shape[1])]
    return pd.DataFrame(loadings, pd.Index(genes), axes)


def top_genes_of_metric(adata: Any, key: str, n_genes: int, by: str | None) -> pd.DataFrame:
    """See `ld.get.top_genes`."""
    n_genes = check_positive_int(n_genes, "n_genes")
    loadings, genes = metric_axes(adata, key)
    scores = scores_of_metric(loadings, by)
    lengths = (loadings**2).sum(0)
    tables = []
    for k in range(loadings.shape[1]):
        order = np.argsort(-scores[:, k], kind="stable")[:n_genes]
        order = order[scores[order, k] > 0]
        columns = {
            "axis": str(k),
            "rank": np.arange(1, len(order) + 1),
            "gene": np.array(genes, dtype=object)[order],
            "loading": loadings[order, k],
            "share": loadings[order, k] ** 2 / (lengths[k] or 1.0),
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def scores_of_metric(loadings: Float64Array, by: str | None) -> Float64Array:
    """What ranks genes of an axis, (n, r), the larger the better."""
    by = check_in(by or SIGNS[0], "by", SIGNS)
    return {"loading": np.abs(loadings), "positive": loadings, "negative": -loadings}[by]
