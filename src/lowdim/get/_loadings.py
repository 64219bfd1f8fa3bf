"""Which genes make an axis or mark a component."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lowdim._keys import MixtureKeys, SubspaceKeys
from lowdim._validation import check_in, check_positive_int
from lowdim.get._factors import factor_loadings, top_genes_of_factors
from lowdim.get._fitted_factors import read_factors
from lowdim.get._markers import standardized_differences
from lowdim.get._metric import has_metric, metric_loadings, top_genes_of_metric
from lowdim.get._record import (
    axis_names,
    component_names,
    find_fit,
    find_mixture,
    find_record,
    has_factors,
)

if TYPE_CHECKING:
    from anndata import AnnData


def loadings(adata: AnnData, key: str = "subspaces") -> pd.DataFrame:
    """The axes of all components, or all factors, as columns over the genes.

    Parameters
    ----------
    adata
        Data with the results of `ld.tl.subspaces`, `ld.tl.spatial_factors` or
        `ld.tl.ground_metric`.
    key
        Its `key_added`.

    Returns
    -------
    Genes x axes. The column "0:1" is axis 1 of component 0; both count from 0. Or genes x factors:
    of nonnegative factors, each gene's share of the factor's rate, so that a column sums to one; of
    real-valued ones, loadings times the factor's standard deviation.

    Raises
    ------
    TypeError, ValueError
        There are no such results, or they do not lead back to genes.
    """
    if has_factors(adata, key):
        return factor_loadings(read_factors(adata, key), adata)
    if has_metric(adata, key):
        return metric_loadings(adata, key)
    record = find_record(adata, key)
    name = SubspaceKeys(key).loadings
    if name not in adata.varm:
        use_rep = record["params"].get("use_rep")
        raise ValueError(
            f"key={key!r} has no loadings: adata.obsm[{use_rep!r}] does not lead back to the "
            "genes. Fit X, a layer, or principal components whose axes are in adata.varm, such "
            "as 'X_pca' with 'PCs'."
        )
    return pd.DataFrame(adata.varm[name], index=adata.var_names, columns=axis_names(record))


def top_genes(
    adata: AnnData,
    key: str = "subspaces",
    n_genes: int = 10,
    by: str | None = None,
    layer: str | None = None,
) -> pd.DataFrame:
    """The genes that make each axis, or that mark each component or factor.

    Parameters
    ----------
    adata
        Data with the results of `ld.tl.subspaces`, `ld.tl.spatial_factors`, `ld.tl.ground_metric`
        or, for "mean", of `ld.tl.mixture`.
    key
        Its `key_added`.
    n_genes
        How many genes per axis, component or factor.
    by
        For subspaces and mixtures "axis", the default: genes with the largest loadings, positive
        or negative. "fold_change": after `ld.tl.mixture` with counts, genes whose fold change
        against the other components is largest in units of its standard error. "mean": genes whose
        mean in the component is highest above the mean of all other components, in units of the
        standard deviation within components. Means are those of the expression, weighted by the
        probabilities of the components (for k-means by the clusters), whatever representation was
        fitted. For nonnegative factors "divergence", the default, "log2_fold_change", "share" or
        "loading": see `lowdim.factorization.Markers`. For real-valued factors, or a single one,
        "loading", of either sign. For a ground metric "loading", of either sign, "positive" or
        "negative".
    layer
        For "mean", the key of `layers` with the expression; by default the layer that was
        fitted, else `X`.

    Returns
    -------
    A row per gene and axis, or gene and component: ``component``; ``axis``, a number, "mean" or
    "fold_change"; ``rank`` from 1; ``gene``; and ``loading``, or for "mean" ``difference`` in
    standard deviations, or for "fold_change" ``log2_fold_change`` and ``standard_error``. For
    factors ``factor``, ``rank``, ``gene`` and all measures; genes that the measure does not put
    above zero are left out. For a ground metric ``axis``, ``rank``, ``gene``, ``loading`` and
    ``share``, of the axis' squared length. The strongest genes come first.

    Raises
    ------
    TypeError, ValueError
        An argument is none of these, there are no such results, they do not lead back to genes,
        or there is nothing to compare a single component with.
    """
    if has_factors(adata, key) or has_metric(adata, key):
        if layer is not None:
            raise ValueError(f"layer={layer!r} is for by='mean'; the rest is that of the fit.")
        if has_metric(adata, key):
            return top_genes_of_metric(adata, key, n_genes, by)
        return top_genes_of_factors(read_factors(adata, key), n_genes, by)
    by = check_in(by or "axis", "by", ("axis", "mean", "fold_change"))
    n_genes = check_positive_int(n_genes, "n_genes")
    if by == "fold_change":
        return _by_fold_change(adata, key, n_genes)
    if by == "mean":
        parts = _by_mean(adata, key, n_genes, layer)
    elif layer is not None:
        raise ValueError(f"layer={layer!r} is for by='mean'; the rest is that of the fit.")
    else:
        parts = _by_axis(adata, key, n_genes)
    value = "loading" if by == "axis" else "difference"
    columns = ["component", "axis", "rank", "gene", value]
    tables = [
        pd.DataFrame(
            {
                "component": component,
                "axis": axis,
                "rank": np.arange(1, len(values) + 1),
                "gene": values.index,
                value: values.to_numpy(),
            }
        )
        for component, axis, values in parts
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def _by_axis(adata: AnnData, key: str, n_genes: int) -> Iterator[tuple[str, int | str, pd.Series]]:
    """Component, axis and the largest loadings of every axis."""
    table = loadings(adata, key)
    for name in table.columns:
        component, axis = name.split(":")
        order = np.argsort(-table[name].abs().to_numpy(), kind="stable")[:n_genes]
        yield component, int(axis), table[name].iloc[order]


def _by_mean(
    adata: AnnData, key: str, n_genes: int, layer: str | None
) -> Iterator[tuple[str, int | str, pd.Series]]:
    """Component, "mean" and the largest differences of every component that has rows."""
    record = find_fit(adata, key)
    names = component_names(record)
    if len(names) == 1:
        raise ValueError(
            f"key={key!r} has one component, and none to compare its mean with; use by='axis'."
        )
    keys = MixtureKeys(key)
    if keys.probabilities in adata.obsm:
        probabilities = np.asarray(adata.obsm[keys.probabilities])
    else:
        assigned = adata.obs[keys.labels].astype(str).to_numpy()
        probabilities = (assigned[:, None] == np.array(names)).astype(float)
    differences = standardized_differences(
        adata, probabilities, layer or record["params"].get("layer")
    )
    for component, values in zip(names, differences, strict=True):
        if not np.isnan(values).all():
            order = np.argsort(-values, kind="stable")[:n_genes]
            yield component, "mean", pd.Series(values[order], index=adata.var_names[order])


def _by_fold_change(adata: AnnData, key: str, n_genes: int) -> pd.DataFrame:
    """The genes whose fold changes stand out most, of every component."""
    names, keys = component_names(find_mixture(adata, key)), MixtureKeys(key)
    if keys.fold_changes not in adata.varm:
        raise ValueError(
            f"key={key!r} has no fold changes: they come with ld.tl.mixture(adata, "
            "'negative_binomial') and two or more components; use by='mean'."
        )
    changes = np.asarray(adata.varm[keys.fold_changes])
    errors = np.asarray(adata.varm[keys.fold_change_errors])
    tables = []
    for k, name in enumerate(names):
        order = np.argsort(-changes[:, k] / errors[:, k], kind="stable")[:n_genes]
        tables.append(
            pd.DataFrame(
                {
                    "component": name,
                    "axis": "fold_change",
                    "rank": np.arange(1, len(order) + 1),
                    "gene": adata.var_names[order],
                    "log2_fold_change": changes[order, k],
                    "standard_error": errors[order, k],
                }
            )
        )
    return pd.concat(tables, ignore_index=True)
