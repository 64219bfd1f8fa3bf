"""Which genes vary: their deviance against a constant rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from scipy.special import xlog1py, xlogy

from lowdim._validation import check_in, check_positive_int
from lowdim.data import as_rows
from lowdim.pp._input import open_counts, samples_of, target_of

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._typing import Float64Array, IntArray

#: Size of the blocks in which counts are read, in bytes if they were dense.
BLOCK_BYTES = 2**26


def deviance_selection(
    adata: AnnData,
    n_top: int = 2000,
    *,
    model: str = "poisson",
    layer: str | None = None,
    sample_key: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Choose the genes whose counts a constant rate explains worst (Townes et al. 2019).

    Under a constant rate, a gene has the same share of every row's total. Sparse counts are not
    made dense, and a file is read in blocks.

    Parameters
    ----------
    adata
        Rows are cells or spots.
    n_top
        How many genes; fewer if fewer have a deviance above zero.
    model : {"poisson", "binomial"}
        What counts are drawn from. The binomial counts a row's total as so many draws; the two
        differ where a gene has a good part of the total.
    layer
        Where the counts are; by default `X`.
    sample_key
        Column of `obs`: shares are constant within each sample, deviances are summed over samples.
        A gene that differs between samples only is then not chosen.
    copy
        Write to a copy and return it.

    Returns
    -------
    None or AnnData, with

    ``var["deviance"]``
        Zero for a gene without a count.
    ``var["highly_deviant"]``
        Whether the gene is one of the chosen.
    ``uns["deviance_selection"]``
        The settings, which a report quotes.

    Raises
    ------
    TypeError, ValueError
        An argument or the data cannot be used.
    """
    check_positive_int(n_top, "n_top")
    check_in(model, "model", ("poisson", "binomial"))
    samples = samples_of(adata, sample_key)
    values = column_deviances(open_counts(adata, layer), model, samples)
    chosen = np.zeros(len(values), dtype=bool)
    chosen[np.argsort(-values, kind="stable")[:n_top]] = True
    target = target_of(adata, copy=copy)
    target.var["deviance"] = values
    target.var["highly_deviant"] = chosen & (values > 0)
    settings = {"n_top": n_top, "model": model, "layer": layer, "sample_key": sample_key}
    target.uns["deviance_selection"] = {k: v for k, v in settings.items() if v is not None}
    return target if copy else None


def column_deviances(
    counts: Any, model: str = "poisson", samples: IntArray | None = None
) -> Float64Array:
    """Deviance of every column of counts against a constant share of the rows' totals, (J,).

    With n_i the total of row i, Y_j that of column j and N that of all counts, the Poisson
    deviance is ``2 [sum_i y log(y / n_i) - Y_j log(Y_j / N)]``, and the binomial one adds the same
    for the ``n_i - y``. Only counts above zero add to the sums over rows.

    Parameters
    ----------
    counts
        Anything that `lowdim.data.as_rows` takes, (N, J).
    model : {"poisson", "binomial"}
    samples
        The sample of every row, (N,); deviances are summed over samples.

    Returns
    -------
    Deviances; rounding is not left below zero.
    """
    source = as_rows(counts)
    n_samples = 1 if samples is None else int(samples.max()) + 1
    totals = np.zeros((n_samples, source.n_cols))
    deviances = np.zeros(source.n_cols)
    step = max(1, BLOCK_BYTES // (8 * source.n_cols))
    for start in range(0, source.n_rows, step):
        block = sp.coo_array(source.rows(start, min(start + step, source.n_rows)))
        block = block.astype(np.float64)
        y, gene = block.data, block.col
        n = np.asarray(block.sum(1)).ravel()[block.row]
        terms = xlogy(y, y) - xlogy(y, n)
        if model == "binomial":
            terms += xlog1py(n - y, -np.divide(y, n, out=np.zeros_like(y), where=n > 0))
        deviances += np.bincount(gene, weights=terms, minlength=source.n_cols)
        sample = 0 if samples is None else samples[start + block.row]
        np.add.at(totals, (sample, gene), y)
    for own in totals:
        all_counts = max(own.sum(), 1.0)
        share = own / all_counts
        deviances -= xlogy(own, share)
        if model == "binomial":
            deviances -= xlog1py(all_counts - own, -share)
    return np.where(totals.sum(0) > 0, np.maximum(2 * deviances, 0.0), 0.0)
