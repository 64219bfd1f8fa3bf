"""The estimator behind results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim.get._record import find_record

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim.mixture import SubspaceMixture


def model(adata: AnnData, key: str = "subspaces") -> SubspaceMixture:
    """The fitted mixture, to apply to other data.

    Parameters
    ----------
    adata
        Data with the results of `ld.tl.subspaces`.
    key
        Its `key_added`.

    Returns
    -------
    The estimator as it was fitted. An array passed as `init` and random generators are not
    kept: those parameters have their defaults.

    Raises
    ------
    TypeError, ValueError
        There are no such results.
    """
    from lowdim.mixture import SubspaceMixture
    from lowdim.mixture._subspace.attributes import FITTED, restore_state
    from lowdim.tl._params import from_uns

    record: dict[str, Any] = {**find_record(adata, key)}
    params = from_uns(record["params"])
    fitted = SubspaceMixture()
    fitted.set_params(**{k: v for k, v in params.items() if k in fitted.get_params()})
    stored = {name: record[name.strip("_")] for name in FITTED if name.strip("_") in record}
    state = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in stored.items()
    }
    state["_held"] = np.asarray(record["held"]).tolist()
    if "search_" in state:
        state["search_"] = from_uns(state["search_"])
    return restore_state(fitted, state)
