"""How the mixtures of samples were fitted, for a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim.report._text import parameter

if TYPE_CHECKING:
    from anndata import AnnData


def mixture_settings(adata: AnnData, gmm_key: str | None) -> list[tuple[str, str]]:
    """Name and value of the settings in ``uns[gmm_key]``, as far as they were written."""
    if gmm_key is None:
        return []
    record: Any = adata.uns[gmm_key]
    settings = {
        "components": _sizes(record),
        "component_sharing": str(record["component_sharing"]),
        "covariance_type": str(record["covariance_type"]),
    }
    fitted = record.get("fit_params")
    for name in ("eps", "singularity_handling", "n_init", "max_iter", "tol"):
        if isinstance(fitted, Mapping) and fitted.get(name) is not None:
            settings[name] = parameter(fitted[name])
    return list(settings.items())


def _sizes(record: Mapping[str, Any]) -> str:
    """Numbers of components, and what they were chosen from."""
    sizes = record.get("distribution_n_components")
    sizes = [np.shape(record["distribution_weights"])[1]] if sizes is None else sizes
    low, high = int(np.min(sizes)), int(np.max(sizes))
    found = str(low) if low == high else f"{low} to {high}"
    selection = record.get("selection")
    if not isinstance(selection, Mapping) or "k_comps" not in selection:
        return found
    tried = ", ".join(str(int(k)) for k in np.ravel(selection["k_comps"]))
    return f"{found}, from {tried} by {selection.get('metric', 'a criterion')}"
