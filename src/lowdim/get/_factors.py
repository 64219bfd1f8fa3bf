"""Spatial factors as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lowdim._validation import check_in, check_positive_int
from lowdim.factorization import enrichment as test_sets
from lowdim.factorization import markers, read_gmt, rescale, scaled_loadings
from lowdim.factorization import spatial_importance as importance_of
from lowdim.get._fitted_factors import FittedSpatialFactors, read_factors
from lowdim.get._metric import has_metric, metric_axes, scores_of_metric

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._typing import Float64Array, PathLike

#: Measures by which genes of a nonnegative factor are ranked.
MEASURES = ("divergence", "log2_fold_change", "share", "loading")
MODES = {"obs": "lda", "var": "spde"}


def factors(adata: AnnData, key: str = "spatial_factors") -> pd.DataFrame:
    """What each factor is, a row per factor.

    Parameters
    ----------
    adata
        Data with the results of `ld.tl.spatial_factors`.
    key
        Its `key_added`.

    Returns
    -------
    Indexed by factor ("0", "1", ...): ``kind``, "spatial" or "nonspatial"; ``moran``, Moran's I of
    the factor, where rows have coordinates; ``share``, its part of the rate of all rows and genes,
    or, if factors are real-valued, of the variance that they explain; ``n_genes``, with a loading
    other than zero; ``relative_sd``, the median over the rows of its posterior standard deviation,
    over its mean there (of real-valued factors: over the factor's own standard deviation).

    Raises
    ------
    TypeError, ValueError
        There are no such results.
    """
    fit = read_factors(adata, key)
    kinds = np.where(np.arange(fit.n_factors) < fit.n_spatial, "spatial", "nonspatial")
    unit = fit.factors if fit.nonnegative else fit.factors.std(0)
    tiny = np.finfo(float).tiny
    columns: dict[str, Any] = {"kind": kinds}
    if fit.moran is not None:
        columns["moran"] = fit.moran
    columns["share"] = fit.shares
    columns["n_genes"] = (fit.loadings != 0).sum(0)
    columns["relative_sd"] = np.median(fit.deviations / np.maximum(unit, tiny), axis=0)
    return pd.DataFrame(columns, index=pd.Index(fit.names, name="factor"))


def factor_shares(adata: AnnData, key: str = "spatial_factors", of: str = "obs") -> pd.DataFrame:
    """The share of every nonnegative factor in the rate of each row, or of each gene.

    Parameters
    ----------
    adata
        Data with the results of `ld.tl.spatial_factors`.
    key
        Its `key_added`.
    of : {"obs", "var"}, default="obs"
        Rows, as in `lowdim.factorization.rescale` with "lda", or genes, with "spde".

    Returns
    -------
    Rows or genes x factors; every line sums to one.

    Raises
    ------
    TypeError, ValueError
        There are no such results, or the factors are real-valued.
    """
    fit = read_factors(adata, key)
    check_in(of, "of", tuple(MODES))
    fit.need_nonnegative("The share")
    rescaled = rescale(fit.factors, fit.loadings, MODES[of])
    values = rescaled.factors if of == "obs" else rescaled.loadings
    return pd.DataFrame(values, index=getattr(adata, f"{of}_names"), columns=fit.names)


def spatial_importance(
    adata: AnnData, key: str = "spatial_factors", of: str = "var"
) -> pd.DataFrame:
    """How much of the rate is spatial, for each gene or each row.

    Parameters
    ----------
    adata
        Data with the results of `ld.tl.spatial_factors`, with factors of both kinds.
    key
        Its `key_added`.
    of : {"var", "obs"}, default="var"
        Genes or rows.

    Returns
    -------
    With the columns ``spatial`` and ``nonspatial``, which sum to one.

    Raises
    ------
    TypeError, ValueError
        There are no such results, the factors are real-valued, or all of one kind.
    """
    fit = read_factors(adata, key)
    check_in(of, "of", tuple(MODES))
    fit.need_nonnegative("Spatial importance")
    if not 0 < fit.n_spatial < fit.n_factors:
        raise ValueError(
            f"key={key!r} has {fit.n_spatial} spatial factors of {fit.n_factors}: importance "
            "compares both kinds; fit a hybrid, such as model='nsfh'."
        )
    values = importance_of(fit.factors, fit.loadings, fit.n_spatial, MODES[of])
    columns = {"spatial": values, "nonspatial": 1 - values}
    return pd.DataFrame(columns, index=getattr(adata, f"{of}_names"))


def enrichment(
    adata: AnnData,
    gene_sets: PathLike | Mapping[str, Iterable[str]],
    key: str = "spatial_factors",
    *,
    by: str | None = None,
    test: str = "rank",
    n_top: int = 100,
    min_size: int = 5,
    max_size: int = 500,
) -> pd.DataFrame:
    """Gene sets whose genes mark a factor, or an axis, the genes of the fit being the whole.

    Parameters
    ----------
    adata
        Data with the results of `ld.tl.spatial_factors` or `ld.tl.ground_metric`.
    gene_sets
        A .gmt file, or a dict from names to genes.
    key
        Its `key_added`.
    by
        The measure that scores genes, as in `ld.get.top_genes`.
    test, n_top, min_size, max_size
        As in `lowdim.factorization.enrichment`.

    Returns
    -------
    A row for each factor and set, the most significant first; see
    `lowdim.factorization.enrichment`. For a ground metric ``axis`` stands for ``factor``.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        There are no such results or sets, or an argument cannot be used.
    """
    of_metric = has_metric(adata, key)
    if of_metric:
        loadings, genes = metric_axes(adata, key)
        scores = scores_of_metric(loadings, by)
    else:
        fit = read_factors(adata, key)
        genes, (scores, _) = fit.genes, gene_scores(fit, by)
    sets = gene_sets if isinstance(gene_sets, Mapping) else read_gmt(_path(gene_sets))
    found = test_sets(
        scores, genes, sets, test=test, n_top=n_top, min_size=min_size, max_size=max_size
    )
    return found.rename(columns={"factor": "axis"}) if of_metric else found


def factor_loadings(fit: FittedSpatialFactors, adata: AnnData) -> pd.DataFrame:
    """Loadings as they say most: shares of the factor's rate, or scaled by the factor's sd."""
    values = (
        rescale(fit.factors, fit.loadings).loadings
        if fit.nonnegative
        else scaled_loadings(fit.factors, fit.loadings)
    )
    return pd.DataFrame(values, index=adata.var_names, columns=fit.names)


def top_genes_of_factors(
    fit: FittedSpatialFactors, n_genes: int, by: str | None = None
) -> pd.DataFrame:
    """See `ld.get.top_genes`."""
    n_genes = check_positive_int(n_genes, "n_genes")
    scores, measures = gene_scores(fit, by)
    genes = np.array(fit.genes, dtype=object)
    tables = []
    for k, name in enumerate(fit.names):
        order = np.argsort(-scores[:, k], kind="stable")[:n_genes]
        order = order[(scores[order, k] > 0) & (fit.loadings[order, k] != 0)]
        values = {measure: own[order, k] for measure, own in measures.items()}
        rank = np.arange(1, len(order) + 1)
        tables.append(pd.DataFrame({"factor": name, "rank": rank, "gene": genes[order], **values}))
    return pd.concat(tables, ignore_index=True)


def gene_scores(
    fit: FittedSpatialFactors, by: str | None
) -> tuple[Float64Array, dict[str, Float64Array]]:
    """What ranks genes, (J, L), the larger the better, and all measures of them."""
    if not fit.nonnegative:
        check_in(by or "loading", "by", ("loading",))
        scaled = scaled_loadings(fit.factors, fit.loadings)
        total = (scaled**2).sum(1, keepdims=True)
        share = scaled**2 / np.where(total > 0, total, 1.0)
        return np.abs(scaled), {"loading": scaled, "share": share}
    if fit.n_factors == 1:
        check_in(by or "loading", "by", ("loading",))
        profile = rescale(fit.factors, fit.loadings).loadings
        return profile, {"loading": profile}
    by = check_in(by or MEASURES[0], "by", MEASURES)
    found = markers(fit.factors, fit.loadings, fit.size_factors)
    measures = {name: getattr(found, name) for name in MEASURES[::-1]}
    return measures[by], measures


def _path(gene_sets: Any) -> Path:
    try:
        return Path(gene_sets)
    except TypeError:
        raise TypeError(
            f"gene_sets is a {type(gene_sets).__name__}; pass a dict from names to genes, or the "
            "path of a .gmt file."
        ) from None
