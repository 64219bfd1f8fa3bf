"""What pictures of layouts are drawn from: places, and what colours them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from lowdim._validation import check_matrix
from lowdim.data.columns import column
from lowdim.data.read_ahead import row_blocks
from lowdim.data.sources import as_rows
from lowdim.embedding.methods import title_of
from lowdim.get._embedding_quality import layout_record
from lowdim.pl._colors import Coloring, array_coloring, plain_coloring
from lowdim.pl._fitted import is_anndata

if TYPE_CHECKING:
    from lowdim._typing import Float64Array


_BLOCK_VALUES = 2**23
"""Of a file that are read at a time."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Places of rows, (N, c), and what their axes are called."""

    places: Float64Array
    title: str


@dataclass(frozen=True, eq=False)
class Colors:
    """What a panel shows: its title, the values or labels of the rows, and their colours."""

    title: str
    values: Any
    coloring: Coloring


def read_layout(data: Any, basis: str) -> Layout:
    """The layout in an AnnData, or an array itself.

    Raises
    ------
    TypeError, ValueError
        There is no such layout, or it is not finite.
    """
    title = "axis"
    if is_anndata(data):
        name = basis if basis in data.obsm else f"X_{basis}"
        if name not in data.obsm:
            raise ValueError(
                f"basis={basis!r} is not in adata.obsm, which has {sorted(data.obsm)}; make it "
                f"with ld.tl.embed."
            )
        record = layout_record(data, name)
        title = title_of(name if record is None else str(record["method"]))
        data = data.obsm[name]
    places = np.asarray(check_matrix(data, name="layout"), dtype=np.float64)
    if places.shape[1] < 2:
        places = np.column_stack([places, np.zeros(len(places))])
    if not np.isfinite(places).all():
        row = int(np.flatnonzero(~np.isfinite(places).all(1))[0])
        raise ValueError(f"layout has NaN or infinity in row {row}; leave such rows out.")
    return Layout(places, title)


def read_colors(
    data: Any, color: Any, n_rows: int, *, layer: str | None, palette: Any, cmap: str
) -> list[Colors]:
    """What each panel shows.

    Raises
    ------
    TypeError, ValueError
        Something names neither a column of `obs` nor a gene, or is not one entry per row.
    """
    if isinstance(color, Mapping):
        asked = [(str(title), values) for title, values in color.items()]
    elif isinstance(color, (list, tuple)) and is_anndata(data):
        asked = [("", one) for one in color]
    else:
        asked = [("", color)]
    if not asked:
        raise ValueError("color is empty; pass a column of obs, a gene, or None.")
    found = []
    for title, one in asked:
        if one is None:
            found.append(Colors(title, None, plain_coloring(n_rows)))
            continue
        values, name = _values(data, one, layer)
        coloring = array_coloring(values, n_rows, cmap, palette)
        found.append(Colors(title or name, values, coloring))
    return found


def _values(data: Any, color: Any, layer: str | None) -> tuple[Any, str]:
    """A column of `obs`, the expression of a gene, or values themselves; and their name."""
    if not isinstance(color, str):
        name = getattr(color, "name", None)
        return color, "" if name is None else str(name)
    if not is_anndata(data):
        raise ValueError(
            f"color={color!r} names a column or a gene of an AnnData, but there is none; pass an "
            "array with one entry per row."
        )
    if color in data.obs:
        return column(data.obs, color), color
    if color not in data.var_names:
        raise ValueError(
            f"color={color!r} is neither in adata.obs, which has {sorted(data.obs.columns)}, nor "
            "a gene."
        )
    return _expression(data, color, layer), color


def _expression(adata: Any, gene: str, layer: str | None) -> np.ndarray:
    """Of a gene, (N,); a matrix that is in a file is read in blocks of rows."""
    matrix = adata.X if layer is None else adata.layers[layer]
    which = [int(np.flatnonzero(adata.var_names == gene)[0])]
    parts: Iterable[Any] = [matrix]
    if not (isinstance(matrix, np.ndarray) or sp.issparse(matrix)):
        source = as_rows(adata, layer=layer, name="adata")
        parts = (rows for _, rows in row_blocks(source, max(1, _BLOCK_VALUES // source.n_cols)))
    own = [part[:, which] for part in parts]
    dense = [part.toarray() if sp.issparse(part) else np.asarray(part) for part in own]
    return np.concatenate(dense).ravel().astype(np.float64)
