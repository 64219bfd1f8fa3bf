"""Size factors in `obs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from lowdim._validation import check_in
from lowdim.factorization._file_counts import FileCounts
from lowdim.factorization._size_factors import RULES, rule_of, size_factors_of
from lowdim.pp._input import open_counts, target_of

if TYPE_CHECKING:
    from anndata import AnnData


def size_factors(
    adata: AnnData,
    method: str = "mean",
    *,
    layer: str | None = None,
    key_added: str = "size_factors",
    copy: bool = False,
) -> AnnData | None:
    """How deeply each row was counted, by the rules of the models' argument `size_factors`.

    Parameters
    ----------
    adata
        Rows are cells or spots.
    method : {"mean", "median", "median_ratio"}
        Totals over their mean or over their median. "median_ratio": the median over a row's counts
        of their ratios to a reference row (Anders and Huber 2010), divided by the geometric mean
        over the rows. The reference is a geometric mean in which a zero counts as one. It is not
        drawn along by few genes with very many counts; where most counts are zeros and ones it
        says little, and totals are better.
    layer
        Where the counts are; by default `X`.
    key_added
        Column of `obs` to write.
    copy
        Write to a copy and return it.

    Returns
    -------
    None or AnnData, with ``obs[key_added]``, positive everywhere: a row without a count gets the
    size of one count, and by median ratios the smallest of the others.

    Raises
    ------
    TypeError, ValueError
        An argument or the data cannot be used.
    """
    check_in(method, "method", RULES)
    source = open_counts(adata, layer)
    counts: Any = FileCounts(source, torch.empty(0, dtype=torch.float64))
    if source.in_memory:
        counts = source.rows(0, source.n_rows)
    sizes = size_factors_of(method, rule_of(method, counts), counts)
    target = target_of(adata, copy=copy)
    target.obs[key_added] = sizes
    return target if copy else None
