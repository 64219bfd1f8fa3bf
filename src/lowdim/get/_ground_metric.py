"""The ground metric behind results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim.get._metric import find_metric

if TYPE_CHECKING:
    from anndata import AnnData

    from lowdim.samples import GroundMetric


def ground_metric(adata: AnnData, key: str = "ground_metric") -> GroundMetric:
    """The fitted map, to apply to other cells and to samples that it was not learned from.

    Parameters
    ----------
    adata
        Data with the results of `ld.tl.ground_metric`.
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
    from lowdim.samples import GroundMetric
    from lowdim.tl._params import from_uns

    record = find_metric(adata, key)
    params: dict[str, Any] = {"n_cells": None, **from_uns(record["params"])}  # `uns` has no None
    fitted = GroundMetric()
    fitted.set_params(**{k: v for k, v in params.items() if k in fitted.get_params()})
    fitted.components_ = np.asarray(record["components"], dtype=np.float64)
    fitted.n_features_in_ = fitted.components_.shape[1]
    if "feature_names_in" in record:
        fitted.feature_names_in_ = np.asarray(record["feature_names_in"], dtype=object)
    fitted.classes_ = np.asarray(record["classes"])
    fitted.history_ = {
        name: np.asarray(values).tolist() for name, values in record["history"].items()
    }
    fitted.loss_, fitted.losses_ = float(record["loss"]), np.asarray(record["losses"])
    fitted.n_iter_, fitted.stop_reason_ = int(record["n_iter"]), str(record["stop_reason"])
    return fitted
