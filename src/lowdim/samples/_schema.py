"""Mixtures of samples as `uns` holds them, in the entries that ggml-ot reads and writes.

Two things differ within what it allows: ``backend`` says who fitted, and ``backend_metadata`` has
what else is known. Sample names are keys in ``selection``; their "/" and "%" are written as "%2F"
and "%25", since a file would read the first as a group.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lowdim._version import __version__
from lowdim.samples._rows import listed
from lowdim.samples.mixtures import SampleGaussianMixtures

#: What a record must have.
NEEDED = ("component_sharing", "covariance_type", "model", "distribution_weights")


def record_of(
    model: SampleGaussianMixtures,
    *,
    use_rep: str | None = None,
    layer: str | None = None,
    dropped: list[str] | None = None,
) -> dict[str, Any]:
    """Fitted mixtures as an entry of `uns`.

    Parameters
    ----------
    model
        The fitted mixtures.
    use_rep, layer
        The matrix that was fitted.
    dropped
        Samples that were left out.
    """
    shared = model.shared_weights_ is not None
    means, covariances, priors = model.means_, model.covariances_, model.weights_
    if model.shared_weights_ is not None:
        means, covariances, priors = means[:1], covariances[:1], model.shared_weights_[None]
    if model.covariance_type == "diag":
        covariances = covariances[..., None] * np.eye(means.shape[-1])
    refit = "full" if model.refit or model.selection_ is None else "none"
    metadata = {
        "fit_indices_count": _n_fitted(model, refit),
        "refit": refit,
        "version": __version__,
        "n_rows": model.n_rows_,
        "log_likelihoods": model.log_likelihoods_,
        "n_iter": model.n_iter_,
        "converged": model.converged_,
        "singular": model.singular_,
        "added_variances": model.added_variances_,
    }
    for name, value in (("layer", layer), ("dropped", dropped)):
        if value:
            metadata[name] = value
    return {
        "component_sharing": model.sharing,
        "use_rep": use_rep,
        "covariance_type": model.covariance_type,
        "n_components": int(model.weights_.shape[1]),
        "distribution_n_components": model.n_components_.tolist(),
        "fit_params": {
            "max_iter": int(model.max_iter),
            "tol": float(model.tol),
            "n_init": int(model.n_init),
            "eps": float(model.reg_covar),
            "singularity_handling": model.singularity_handling,
        },
        "selection": _selection(model, refit, shared=shared),
        "backend": "lowdim",
        "model_family": "gmm",
        "representation_space": "use_rep",
        "backend_metadata": metadata,
        "model": {"mu": means.copy(), "var": covariances.copy(), "pi": priors.copy()},
        "distribution_weights": model.weights_.copy(),
        "weight_inference": {
            "weights_fit_scope": "all_cells" if refit == "full" else "train_split",
            "weights_source": "stored",
            "distribution_ids": [str(name) for name in model.names_],
        },
    }


def is_record(record: Any) -> bool:
    """Whether this is an entry of `uns` with mixtures of samples."""
    return isinstance(record, Mapping) and all(name in record for name in NEEDED)


def matrix_of(
    record: Any, key: str, *, use_rep: str | None = None, layer: str | None = None
) -> tuple[str | None, str | None]:
    """`use_rep` and `layer` that mixtures were fitted to, which the ones asked for must be.

    Raises
    ------
    ValueError
        Another matrix is asked for.
    """
    fitted = of_record(record, "use_rep"), of_record(record, "layer")
    wanted = (None if use_rep == "X" else use_rep), layer
    if wanted not in ((None, None), fitted):
        raise ValueError(
            f"use_rep={use_rep!r} and layer={layer!r} are not what uns[{key!r}] was fitted to: "
            f"use_rep={fitted[0]!r}, layer={fitted[1]!r}. Leave them out."
        )
    return fitted


def model_of(record: Any, key: str) -> SampleGaussianMixtures:
    """The mixtures in an entry of `uns`, whoever wrote it.

    Raises
    ------
    ValueError
        It is no such entry.
    """
    missing = [name for name in NEEDED if not isinstance(record, Mapping) or name not in record]
    names = [] if missing else _read(record, "weight_inference", "distribution_ids")
    if missing or names is None:
        raise ValueError(
            f"uns[{key!r}] holds no mixtures of samples; it lacks "
            f"{listed(missing or ['weight_inference'])}. Run ld.tl.fit_gmm first."
        )
    shared = str(record["component_sharing"]) == "global"
    means, covariances = (np.array(record["model"][n], dtype=np.float64) for n in ("mu", "var"))
    if str(record["covariance_type"]) == "diag" and covariances.ndim == means.ndim + 1:
        covariances = np.diagonal(covariances, axis1=-2, axis2=-1)
    weights = np.array(record["distribution_weights"], dtype=np.float64)
    weights = weights / weights.sum(1, keepdims=True)
    priors = None
    if shared:
        if means.ndim == 3:
            means, covariances = means[0], covariances[0]
        means = np.repeat(means[None], len(weights), axis=0)
        covariances = np.repeat(covariances[None], len(weights), axis=0)
        stored = record["model"].get("pi")
        priors = np.ravel(weights.mean(0) if stored is None else np.asarray(stored, np.float64))
        priors = priors / priors.sum()
    model = SampleGaussianMixtures.from_parameters(
        list(names), weights, means, covariances, shared_weights=priors
    )
    model.selection_ = _table(record.get("selection"), list(map(str, names)))
    return model


def of_record(record: Mapping[str, Any], name: str) -> Any:
    """The matrix ("use_rep" or "layer") that was fitted, or the samples that were "dropped"."""
    return record.get(name) if name == "use_rep" else _read(record, "backend_metadata", name)


def _read(record: Mapping[str, Any], *path: str) -> Any:
    """An entry within entries, or None."""
    for name in path:
        if not isinstance(record, Mapping) or name not in record:
            return None
        record = record[name]
    return record


def _n_fitted(model: SampleGaussianMixtures, refit: str) -> int:
    """Rows that parameters come from."""
    if refit == "full" or model.selection_ is None:
        return int(model.n_rows_.sum())
    return int(model.selection_.groupby("sample")["n_train"].first().sum())


# The choice of the number of components -----------------------------------------------------


def _selection(model: SampleGaussianMixtures, refit: str, *, shared: bool) -> dict[str, Any] | None:
    table = model.selection_
    if table is None:
        return None
    held_out = model.criterion == "heldout_nll"
    counts = table.groupby("sample")["n_train"].first()
    share = float(model.train_size) if held_out else 1.0
    out = {
        "metric": model.criterion,
        "k_comps": [int(k) for k in sorted(table["n_components"].unique())],
        "best_k": int(model.n_components_.max()),
        "scores": _columns(table.drop(columns="sample").groupby("n_components").mean()),
        "selection_cells_count": int(counts.sum()),
        "refit": refit,
        "train_frac": share,
        "val_frac": 1.0 - share,
    }
    if held_out:
        out["score_name"] = "validation_nll"
    if not shared:
        best = zip(model.names_, model.n_components_, strict=True)
        out["best_k_by_distribution"] = {_as_key(name): int(k) for name, k in best}
        out["scores_by_distribution"] = {
            _as_key(str(name)): _columns(own.set_index("n_components"))
            for name, own in table.groupby("sample")
        }
    return out


def _columns(table: pd.DataFrame) -> dict[str, list[Any]]:
    """Scores by number of components, (K,) each."""
    out = {"k": [int(k) for k in table.index], "score": table["score"].tolist()}
    if table["validation_nll"].notna().any():
        out |= {
            "train_nll": table["train_nll"].tolist(),
            "validation_nll": table["validation_nll"].tolist(),
            "nll_gap": (table["validation_nll"] - table["train_nll"]).tolist(),
            "n_train_cells": table["n_train"].tolist(),
            "n_val_cells": table["n_validation"].tolist(),
        }
    out["degenerate"] = table["degenerate"].astype(float).tolist()
    return out


def _table(selection: Any, names: list[str]) -> pd.DataFrame | None:
    """`SampleGaussianMixtures.selection_` as far as it was written."""
    if not isinstance(selection, Mapping):
        return None
    written = selection.get("scores_by_distribution")
    scores = {"all": selection["scores"]}
    if isinstance(written, Mapping):
        scores = {name: written[_as_key(name)] for name in names if _as_key(name) in written}
    columns = {"k": "n_components", "n_train_cells": "n_train", "n_val_cells": "n_validation"}
    tables = [
        pd.DataFrame({name: np.asarray(value) for name, value in own.items()}).assign(sample=name)
        for name, own in scores.items()
    ]
    return pd.concat(tables, ignore_index=True).rename(columns=columns)


def _as_key(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F")
