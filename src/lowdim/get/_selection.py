"""The ranked table of a search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lowdim.get._record import find_selection

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim._keys import SelectionRecord

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

_MIXTURE_COLUMNS = (
    "n_components",
    "inertia",
    "free_energy",
    "log_likelihood",
    "n_parameters",
    "bic",
    "aic",
    "icl",
    "heldout",
    "from_smaller",
    "converged",
)
"""The same after `ld.tl.mixture`."""


def selection(adata: AnnData, key: str = "subspaces") -> pd.DataFrame:
    """The mixtures that a search tried, of subspaces best first, others by their size.

    Parameters
    ----------
    adata
        Data with the results of `ld.tl.select_subspaces`, or of `ld.tl.mixture` where it chose a
        number of components.
    key
        Its `key_added`.

    Returns
    -------
    The table of `lowdim.SubspaceSelection`: ``dims`` (tuples), ``n_components``,
    ``log_likelihood``, ``n_parameters``, ``bic``, ``icl``, ``restarts_agreeing``,
    ``smallest_component``, ``degenerate`` and, for criterion "heldout", ``heldout``. Its
    ``attrs`` hold the ``criterion`` and, as ``params``, the settings of the search. Or, after
    `ld.tl.mixture`, the table of `lowdim.mixture.MixtureSelection`.

    Raises
    ------
    TypeError, ValueError
        There is no such search.
    """
    from lowdim.tl._params import from_uns

    record = find_selection(adata, key)
    columns = record["table"]
    if "dims" not in columns:
        return _by_size(record)
    names = sorted(columns, key=_COLUMNS.index)
    table = pd.DataFrame({name: np.asarray(columns[name]) for name in names})
    table["dims"] = [tuple(int(d) for d in dims.split(",")) for dims in table["dims"]]
    table.attrs["criterion"] = str(record["criterion"])
    table.attrs["params"] = from_uns(record.get("params", {}))
    return table


def _by_size(record: SelectionRecord) -> pd.DataFrame:
    """The table of `lowdim.mixture.MixtureSelection`."""
    columns = record["table"]
    names = [name for name in _MIXTURE_COLUMNS if name in columns]
    table = pd.DataFrame({name: np.asarray(columns[name]) for name in names})
    table.attrs["criterion"] = str(record["criterion"])
    return table
