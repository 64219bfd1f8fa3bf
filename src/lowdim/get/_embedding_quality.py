"""How far a layout in an AnnData can be believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from lowdim._keys import EmbeddingKeys, EmbeddingRecord
from lowdim.data import as_rows
from lowdim.data.columns import column
from lowdim.metrics._rows import chosen_rows
from lowdim.metrics.embedding import embedding_quality as quality_of_arrays
from lowdim.metrics.neighborhoods import SAMPLE_SIZE

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

#: Rows of a file that stand for all: their distances from each other need them in memory.
FROM_FILE = 10_000


def embedding_quality(
    adata: AnnData,
    key: str = "X_tsne",
    *,
    labels: str | None = None,
    n_neighbors: Any = (15, 50),
    use_rep: str | None = None,
    sample_size: int | None = SAMPLE_SIZE,
    random_state: Any = 0,
) -> pd.DataFrame:
    """Measures of a layout, against the rows that it was made from.

    Parameters
    ----------
    adata
        Data with the result of `lowdim.tl.embed`, or with any layout in `obsm`.
    key
        Key of the layout in `obsm`, with or without ``X_``.
    labels
        A column of `obs` with known groups.
    n_neighbors
        As of `lowdim.metrics.embedding_quality`.
    use_rep
        What the layout is compared with: a key of `obsm`, or "X". By default the matrix that it was
        fitted to, or that the graph came from; of a layout that is not lowdim's, "X_pca" if there
        is one.
    sample_size
        Rows that are looked at, drawn at random; None is all. Their neighbours are sought among all
        rows; of a matrix that stays in a file, among 10,000 drawn at random.
    random_state
        Of these.

    Returns
    -------
    DataFrame with one row
        Called like the layout; see `lowdim.metrics.embedding_quality`.

    Raises
    ------
    TypeError, ValueError
        There is no such layout or column.
    """
    name = layout_key(adata, key)
    if labels is not None and labels not in adata.obs:
        raise ValueError(
            f"labels={labels!r} is not in adata.obs, which has {sorted(adata.obs.columns)}."
        )
    matrix = fitted_matrix(adata, name) if use_rep is None else {"use_rep": use_rep}
    rows = as_rows(adata, layer=matrix.get("layer"), use_rep=matrix.get("use_rep"))
    n_pcs = matrix.get("n_pcs")
    index = chosen_rows(rows.n_rows, None if rows.in_memory else FROM_FILE, random_state)
    values = rows.rows(0, rows.n_rows) if rows.in_memory else rows.take(index)
    return quality_of_arrays(
        values[:, : n_pcs or rows.n_cols],
        np.asarray(adata.obsm[name])[index],
        None if labels is None else column(adata.obs, labels).iloc[index],
        n_neighbors=n_neighbors,
        sample_size=sample_size,
        random_state=random_state,
        name=name,
    )


def layout_key(adata: AnnData, key: str) -> str:
    """The key in `obsm` of a layout, which may be named without ``X_``.

    Raises
    ------
    TypeError, ValueError
        There is none.
    """
    if not hasattr(adata, "obsm"):
        raise TypeError(f"adata is a {type(adata).__name__}, not an AnnData.")
    for name in (key, f"X_{key}"):
        if name in adata.obsm:
            return name
    raise ValueError(
        f"adata.obsm has no layout {key!r} (it has {sorted(adata.obsm)}); run ld.tl.embed first."
    )


def has_layout(adata: AnnData, key: str) -> bool:
    """Whether `key` is that of a layout that `lowdim.tl.embed` made."""
    keys = EmbeddingKeys(key)
    record = getattr(adata, "uns", {}).get(keys.record)
    is_record = isinstance(record, Mapping) and "method" in record and "params" in record
    return is_record and (key in adata.obsm or f"X_{key}" in adata.obsm)


def layout_record(adata: AnnData, key: str) -> EmbeddingRecord | None:
    """How the layout was made; None if that is not known."""
    if not has_layout(adata, key):
        return None
    return cast(EmbeddingRecord, adata.uns[EmbeddingKeys(key).record])


def fitted_matrix(adata: AnnData, key: str) -> dict[str, Any]:
    """Layer, representation and number of columns of it that a layout comes from."""
    record = layout_record(adata, key)
    params: dict[str, Any] = {} if record is None else dict(record["params"])
    used = {name: params.get(name) for name in ("layer", "use_rep", "n_pcs")}
    if record is not None and "neighbors_key" not in params:
        return used
    graph: Any = adata.uns.get(params.get("neighbors_key", "neighbors"), {})
    made = graph.get("params", {}) if isinstance(graph, Mapping) else {}
    rep = made.get("use_rep") or ("X_pca" if "X_pca" in adata.obsm else None)
    return {"use_rep": rep, "n_pcs": made.get("n_pcs") if rep == "X_pca" else None}
