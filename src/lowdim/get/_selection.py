"""The ranked table of a search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lowdim.get._record import find_selection

if TYPE_CHECKING:
    from anndata import AnnData

_COLUMNS = (
    "dims",
    "n_components",
    "log_likelihood",
    "n_parameters",
    "bic",
    "icl",
    "restarts_agreeing",
    "smallest_component",
    "degenerate",
    "heldout",
)
"""The order of the columns, which a file does not keep."""


def selection(adata: AnnData, key: str = "subspaces") -> pd.DataFrame:
    """The mixtures that a search tried, best first.

    Parameters
    ----------
    adata
        Data with the results of `ld.tl.select_subspaces`.
    key
        Its `key_added`.

    Returns
    -------
    The table of `lowdim.SubspaceSelection`: ``dims`` (tuples), ``n_components``,
    ``log_likelihood``, ``n_parameters``, ``bic``, ``icl``, ``restarts_agreeing``,
    ``smallest_component``, ``degenerate`` and, for criterion "heldout", ``heldout``. Its
    ``attrs`` hold the ``criterion`` and, as ``params``, the settings of the search.

    Raises
    ------
    TypeError, ValueError
        There is no such search.
    """
    from lowdim.tl._params import from_uns

    record = find_selection(adata, key)
    columns = record["table"]
    names = sorted(columns, key=_COLUMNS.index)
    table = pd.DataFrame({name: np.asarray(columns[name]) for name in names})
    table["dims"] = [tuple(int(d) for d in dims.split(",")) for dims in table["dims"]]
    table.attrs["criterion"] = str(record["criterion"])
    table.attrs["params"] = from_uns(record.get("params", {}))
    return table
