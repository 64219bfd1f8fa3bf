"""What the components of samples' mixtures express."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lowdim._keys import GmmKeys
from lowdim.data.columns import column
from lowdim.get._markers import standardized_differences
from lowdim.samples._rows import listed
from lowdim.samples._schema import model_of

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._typing import Float64Array


def component_genes(
    adata: AnnData,
    gmm_key: str = "gmm_X",
    *,
    sample_key: str | None = None,
    sample: str | None = None,
    families: Any = None,
    layer: str | None = None,
) -> pd.DataFrame:
    """How far the mean of each gene in a component, or a family of them, is from all others'.

    Means are those of the expression, weighted by the responsibilities, whatever representation
    was fitted.

    Parameters
    ----------
    adata
        Data with the results of `ld.tl.fit_gmm`.
    gmm_key
        Their key in `uns`.
    sample_key
        The column of `obs` with the samples; needed for the two that follow.
    sample
        Compare the components of this sample, among its cells. Needed where samples have
        components of their own and there are no families.
    families : array of shape (S, K), optional
        The family of every component, of samples in the order of the mixtures (sorted), such as
        `labels` of `lowdim.samples.component_families`; negative where a sample has fewer
        components. Families are compared over the cells of all samples.
    layer
        Key of `layers` with the expression; by default `X`.

    Returns
    -------
    DataFrame
        Genes x components ("0", "1", ...) or families: the mean minus that of all other cells, in
        units of the standard deviation within components. nan without cells.

    Raises
    ------
    TypeError, ValueError
        There are no such results, an argument cannot be used, or there is nothing to compare.
    """
    if not hasattr(adata, "uns") or gmm_key not in adata.uns:
        raise ValueError(f"adata.uns has no {gmm_key!r}; run ld.tl.fit_gmm first.")
    model = model_of(adata.uns[gmm_key], gmm_key)
    name = GmmKeys(gmm_key).responsibilities
    if name not in adata.obsm:
        raise ValueError(f"adata.obsm has no {name!r}; run ld.tl.fit_gmm again.")
    shares = np.asarray(adata.obsm[name], dtype=np.float64)
    rows = shares.sum(1) > 0
    shared = str(adata.uns[gmm_key]["component_sharing"]) == "global"
    if sample is not None or families is not None:
        samples = _samples(adata, sample_key)
        if families is not None:
            if sample is not None:
                raise TypeError("families are over all samples; leave out sample.")
            shares = _by_family(shares, samples, np.asarray(model.names_), np.asarray(families))
            rows = shares.sum(1) > 0
        else:
            if sample not in set(samples):
                raise ValueError(
                    f"sample={sample!r} is not there; there are {listed(model.names_)}."
                )
            rows &= samples == sample
    elif not shared:
        raise ValueError(
            "Component 0 of one sample is not that of another; pass sample to compare the "
            "components of one, or families."
        )
    kept = np.flatnonzero(shares[rows].sum(0) > 0)
    if len(kept) < 2:
        raise ValueError("There is one component, and none to compare it with.")
    found = standardized_differences(adata[rows], shares[rows], layer)
    columns = [str(k) for k in range(shares.shape[1])]
    return pd.DataFrame(found.T, adata.var_names, columns)


def _samples(adata: AnnData, sample_key: str | None) -> np.ndarray:
    if sample_key not in adata.obs:
        raise ValueError(
            f"sample_key={sample_key!r} is not in adata.obs; it has {listed(adata.obs)}."
        )
    return np.asarray(column(adata.obs, sample_key).astype(str))


def _by_family(
    shares: Float64Array, samples: np.ndarray, names: np.ndarray, families: np.ndarray
) -> Float64Array:
    """Responsibilities of families, (N, F)."""
    if families.shape != (len(names), shares.shape[1]) or families.dtype.kind not in "iu":
        raise ValueError(
            f"families has shape {families.shape} and dtype {families.dtype}; pass integers, "
            f"({len(names)}, {shares.shape[1]}), one for each sample and component."
        )
    out = np.zeros((len(shares), int(families.max()) + 1))
    for s, name in enumerate(names):
        own = samples == str(name)
        for k in np.flatnonzero(families[s] >= 0):
            out[own, families[s, k]] += shares[own, k]
    return out
