"""Which sets of genes a factor stands for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._validation import check_in, check_positive_int
from lowdim._warnings import warn_caller

if TYPE_CHECKING:
    import pandas as pd

    from lowdim._typing import PathLike

_NAMED = 10
"""So many sets that are left out are named."""


def read_gmt(path: PathLike) -> dict[str, list[str]]:
    """Read gene sets: a line for each, with its name, a description and its genes, by tabs.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        A line has no genes, or a name occurs twice.
    """
    sets: dict[str, list[str]] = {}
    for number, line in enumerate(Path(path).read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        name, *rest = (field.strip() for field in line.split("\t"))
        genes = list(dict.fromkeys(gene for gene in rest[1:] if gene))
        if not genes:
            raise ValueError(
                f"Line {number} of {str(path)!r} has no genes; a line of a .gmt file is a name, a "
                "description and genes, separated by tabs."
            )
        if name in sets:
            raise ValueError(f"Line {number} of {str(path)!r} has the name {name!r} once more.")
        sets[name] = genes
    return sets


def enrichment(
    scores: Any,
    genes: Sequence[str],
    gene_sets: Mapping[str, Iterable[str]],
    *,
    test: str = "rank",
    n_top: int = 100,
    min_size: int = 5,
    max_size: int = 500,
) -> pd.DataFrame:
    """Sets whose genes score higher than the rest, for every column of the scores.

    The genes of the fit are the whole from which sets are drawn: genes of a set that are not among
    them do not count. Scores of genes of one set are taken as independent, as such tests do; they
    are not, so small p-values rank sets rather than prove them.

    Parameters
    ----------
    scores : array-like of shape (J, L)
        For example `Markers.divergence`.
    genes : sequence of J str
    gene_sets : mapping of str to genes
        See `read_gmt`.
    test : {"rank", "hypergeometric"}, default="rank"
        "rank": Mann-Whitney test of the set's scores against those of all other genes.
        "hypergeometric": genes of the set among the `n_top` of largest score, where that is above
        zero: a factor with fewer such genes has fewer that count.
    n_top : int, default=100
    min_size, max_size : int, default=5 and 500
        Sets with fewer or more genes in the fit are left out; a warning names them.

    Returns
    -------
    A row for each factor and set, the most significant first: ``factor``; ``gene_set``;
    ``n_genes``, those of the set in the fit; for "rank" ``auc``, how often a gene of the set
    scores higher than another; for "hypergeometric" ``n_overlap`` and ``fold``, the overlap over
    the expected one; one-sided ``p_value``; and ``q_value``, after Benjamini and Hochberg over the
    table.

    Raises
    ------
    TypeError, ValueError
        An argument cannot be used, or no set is left.
    """
    import pandas as pd
    from scipy.stats import false_discovery_control

    check_in(test, "test", ("rank", "hypergeometric"))
    n_top = check_positive_int(n_top, "n_top")
    scores = np.asarray(scores, dtype=np.float64)
    names = pd.Index(genes)
    if scores.ndim != 2 or len(scores) != len(names):
        raise ValueError(
            f"scores has shape {scores.shape}, but there are {len(names)} genes; pass (J, L)."
        )
    if not names.is_unique:
        raise ValueError(
            "genes has repeated names; make them unique (adata.var_names_make_unique)."
        )
    if not np.isfinite(scores).all():
        raise ValueError("scores has values that are not finite; pass numbers for all genes.")
    rank = np.argsort(np.argsort(-scores, axis=0, kind="stable"), axis=0)
    top = (rank < n_top) & (scores > 0)
    tables = []
    for name, own in _members(gene_sets, names, min_size, max_size):
        found = _rank(scores, own) if test == "rank" else _hypergeometric(top, own)
        table = {"factor": [str(k) for k in range(scores.shape[1])], "gene_set": name}
        tables.append(pd.DataFrame({**table, "n_genes": int(own.sum()), **found}))
    if not tables:
        raise ValueError(
            f"gene_sets has no set with {min_size} to {max_size} of the {len(names)} genes of the "
            "fit; are its names those of the data (such as symbols, in the same case)?"
        )
    result = pd.concat(tables, ignore_index=True)
    result["q_value"] = false_discovery_control(result["p_value"])
    order = np.lexsort((result["p_value"], result["factor"].astype(int)))
    return result.iloc[order].reset_index(drop=True)


def _members(
    gene_sets: Mapping[str, Iterable[str]], names: pd.Index, min_size: int, max_size: int
) -> Iterable[tuple[str, np.ndarray]]:
    """Which genes belong to each set, (J,), for sets of a size that is wanted."""
    if not isinstance(gene_sets, Mapping):
        raise TypeError(
            f"gene_sets is a {type(gene_sets).__name__}; pass a dict from names to genes, such as "
            "what read_gmt returns."
        )
    left_out = []
    for name, members in gene_sets.items():
        if isinstance(members, str):
            raise TypeError(
                f"gene_sets[{name!r}] is the string {members!r}; pass a list of names of genes."
            )
        own = names.isin(list(members))
        if min_size <= own.sum() <= max_size and not own.all():
            yield str(name), own
        else:
            left_out.append(f"{name} ({own.sum()})")
    if left_out:
        more = f" and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
        warn_caller(
            f"gene_sets: {len(left_out)} of {len(gene_sets)} sets are left out, since the fit has "
            f"fewer than min_size={min_size} or more than max_size={max_size} of their genes, or "
            f"no other ones: {', '.join(left_out[:_NAMED])}{more}."
        )


def _rank(scores: np.ndarray, own: np.ndarray) -> dict[str, np.ndarray]:
    from scipy.stats import mannwhitneyu

    test = mannwhitneyu(scores[own], scores[~own], alternative="greater", method="asymptotic")
    return {"auc": test.statistic / (own.sum() * (~own).sum()), "p_value": test.pvalue}


def _hypergeometric(top: np.ndarray, own: np.ndarray) -> dict[str, np.ndarray]:
    from scipy.stats import hypergeom

    drawn = top.sum(0)
    overlap = top[own].sum(0)
    expected = drawn * own.mean()
    p_value = hypergeom.sf(overlap - 1, len(own), own.sum(), drawn)
    fold = np.divide(overlap, expected, out=np.ones(len(drawn)), where=expected > 0)
    return {"n_overlap": overlap, "fold": fold, "p_value": p_value}
