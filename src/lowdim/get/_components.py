"""Sizes, variances and purity of components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lowdim._keys import MixtureKeys, SubspaceRecord
from lowdim.data.columns import column
from lowdim.get._record import component_names, find_fit

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._typing import Float64Array


def components(adata: AnnData, key: str = "subspaces", labels: str | None = None) -> pd.DataFrame:
    """What each component is, a row per component.

    Parameters
    ----------
    adata
        Data with the results of `ld.tl.subspaces` or `ld.tl.mixture`.
    key
        Its `key_added`.
    labels
        A column of `obs` to compare with, such as known cell types.

    Returns
    -------
    Indexed by component ("0", "1", ...): ``size``, the rows assigned to it; ``weight``, its mixing
    proportion, and for k-means the share of the rows; ``mean_probability``, of the component for
    the rows assigned to it, except for k-means. For subspaces also ``dim``; ``noise_variance``,
    off the subspace, per direction; ``share_in_subspace``, the part of its variance that lies
    along its axes (nan for a uniform background). With `labels` also ``majority``, the most
    frequent label, and ``purity``, its share among the labelled rows.

    Raises
    ------
    TypeError, ValueError
        There are no such results, or no such column.
    """
    record: Any = find_fit(adata, key)
    if labels is not None and labels not in adata.obs:
        raise ValueError(
            f"labels={labels!r} is not in adata.obs, which has {sorted(adata.obs.columns)}."
        )
    keys = MixtureKeys(key)
    names = pd.Index(component_names(record), name="component")
    assigned = column(adata.obs, keys.labels).astype(str)
    sizes = assigned.value_counts().reindex(names, fill_value=0)
    weights = np.asarray(record["weights"]) if "weights" in record else sizes / adata.n_obs
    columns = {"size": sizes, "weight": weights}
    if "bases" in record:
        columns = {
            "dim": np.asarray(record["dims"]),
            **columns,
            "noise_variance": np.asarray(record["noise_variances"]),
            "share_in_subspace": _share_in_subspace(record),
        }
    if keys.probabilities in adata.obsm:
        largest = pd.Series(np.asarray(adata.obsm[keys.probabilities]).max(1), assigned.index)
        columns["mean_probability"] = largest.groupby(assigned.to_numpy()).mean().reindex(names)
    table = pd.DataFrame(columns, index=names)
    if labels is not None:
        majority, purity = _majority(column(adata.obs, labels), assigned)
        table["majority"] = pd.Series(majority, dtype=object).reindex(names)
        table["purity"] = pd.Series(purity, dtype=float).reindex(names)
    return table


def _majority(labels: pd.Series, assigned: pd.Series) -> tuple[dict[str, object], dict[str, float]]:
    """The most frequent label of each component that has any, and its share of the labelled."""
    known = labels.notna().to_numpy()
    majority, purity = {}, {}
    for name, own in labels[known].astype(object).groupby(assigned[known].to_numpy()):
        shares = own.value_counts(normalize=True)
        majority[str(name)], purity[str(name)] = shares.index[0], float(shares.iloc[0])
    return majority, purity


def _share_in_subspace(record: SubspaceRecord) -> Float64Array:
    """Variance along the axes over all variance, by component."""
    dims = np.asarray(record["dims"])
    along = [
        variances.sum() for variances in np.split(record["latent_variances"], np.cumsum(dims)[:-1])
    ]
    rest = record["n_features_in"] - dims
    off = np.where(rest > 0, record["noise_variances"], 0.0) * rest
    return np.where(np.isinf(off), np.nan, along / (along + off))
