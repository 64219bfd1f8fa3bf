"""Distances between the samples of an AnnData."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from anndata import AnnData
from sklearn.utils.validation import check_is_fitted

from lowdim._keys import SampleDistanceKeys
from lowdim._typing import DeviceLike
from lowdim._validation import check_in
from lowdim._version import __version__
from lowdim.get._gmm_key import find_gmm_key
from lowdim.samples import SampleDataset
from lowdim.samples._rows import listed
from lowdim.samples._schema import model_of
from lowdim.tl._input import open_rows
from lowdim.tl._params import from_uns, to_uns
from lowdim.tl._results import Results
from lowdim.transport import Clouds, cloud_distances, mixture_distances

#: Costs between mixtures, and between the cells themselves.
OF_MIXTURES, OF_CELLS = ("mw2", "mixed"), ("w1", "w2")
#: Settings that a ground metric brings, and what they are without one.
LEARNED = {"cost": "mw2", "entropic": 0.0, "diagonal": False, "n_cells": None}


def sample_distances(
    adata: AnnData,
    *,
    gmm_key: str | None = None,
    sample_key: str | None = None,
    use_rep: str | None = None,
    layer: str | None = None,
    n_cells: int | None = None,
    cost: str | None = None,
    entropic: float | None = None,
    debiased: bool = False,
    device: DeviceLike = "cpu",
    ground_metric: Any = None,
    key_added: str = "sample_distances",
    random_state: Any = 0,
    copy: bool = False,
) -> AnnData | None:
    """Distances between all samples of an AnnData, of their mixtures or of their cells.

    Parameters
    ----------
    adata
        The AnnData; for mixtures one that `lowdim.tl.fit_gmm` or ggml-ot has written to.
    gmm_key
        Key of `uns` of the mixtures, for the costs "mw2" and "mixed"; by default ``"gmm_"`` and the
        name of the matrix, or the only ones there are.
    sample_key
        Column of `obs`, for the costs "w1" and "w2"; mixtures know their samples.
    use_rep, layer
        Key of `obsm` or of `layers`; with neither, what the mixtures were fitted to, or `X`.
    n_cells : int, optional
        For "w1" and "w2" at most so many cells of each sample, drawn at random; by default as
        many as a ground metric takes, else all.
    cost : {"mw2", "mixed", "w1", "w2"}, optional
        "mw2" and "mixed" are of mixtures, as in `lowdim.transport.mixture_distances`; "w1" and
        "w2" are Wasserstein distances of the cells, as in `lowdim.transport.cloud_distances`. By
        default that of a ground metric, else "mw2".
    entropic : float, optional
        Strength of entropic plans in place of exact ones, as in these functions; by default that
        of a ground metric, else 0.
    debiased, device
        As in these functions.
    ground_metric : array (r, D), str or estimator, optional
        Measure under a linear map: W itself, the key of `uns` that `lowdim.tl.ground_metric` has
        written, or a fitted `lowdim.GroundMetric`. The latter two bring their settings, `diagonal`
        too: distances are those of its `distances`.
    key_added
        Where the result goes.
    random_state
        Draws cells.
    copy
        Return a copy with the result and leave `adata` as it is.

    Returns
    -------
    None, or with `copy` the copy. ``uns[key_added]`` has ``distances``, (S, S), ``names`` of the
    samples, ``params`` and ``version``; `lowdim.get.sample_distances` makes a table of it.

    Raises
    ------
    KeyError
        There are no such mixtures, or there is no such column.
    TypeError, ValueError
        An argument or the data cannot be used. `adata` is then as it was.
    """
    key = SampleDistanceKeys(key_added)
    open_rows(adata, layer=layer, use_rep=use_rep, copy=copy)
    W, learned = _map(adata, ground_metric)
    cost = check_in(learned["cost"] if cost is None else cost, "cost", (*OF_MIXTURES, *OF_CELLS))
    n_cells = learned["n_cells"] if n_cells is None else n_cells
    strength = learned["entropic"] if entropic is None else entropic
    measure: dict[str, Any] = {"cost": cost, "entropic": strength, "debiased": debiased}
    if cost in OF_MIXTURES:
        gmm_key = find_gmm_key(adata, gmm_key, use_rep=use_rep, layer=layer, cells="w2")
        model = model_of(adata.uns[gmm_key], gmm_key)
        names, mixtures = model.names_, model.mixtures()
        if W is not None:
            mixtures = mixtures.mapped(_fitting(W, mixtures.means.shape[2]))
        if learned["diagonal"]:
            mixtures = mixtures.diagonal()
        distances = mixture_distances(mixtures, **measure, device=device)
    else:
        names, clouds = _clouds(adata, sample_key, use_rep, layer, n_cells, random_state)
        if W is not None:
            clouds = clouds.mapped(_fitting(W, clouds.points.shape[1]))
        distances = cloud_distances(clouds, **measure, device=device)
    params = {
        **measure,
        "diagonal": learned["diagonal"],
        "gmm_key": gmm_key if cost in OF_MIXTURES else None,
        "sample_key": sample_key,
        "use_rep": use_rep,
        "layer": layer,
        "n_cells": n_cells if cost in OF_CELLS else None,
        "ground_metric": ground_metric if isinstance(ground_metric, str) else W,
        "random_state": random_state if cost in OF_CELLS else None,
    }
    record = {
        "distances": distances,
        "names": np.asarray(names, dtype=object),
        "params": to_uns(params),
        "version": __version__,
    }
    target = adata.copy() if copy else adata
    Results(obs={}, obsm={}, varm={}, uns={key.record: record}).write(target)
    return target if copy else None


def _clouds(
    adata: AnnData,
    sample_key: str | None,
    use_rep: str | None,
    layer: str | None,
    n_cells: int | None,
    random_state: Any,
) -> tuple[np.ndarray, Clouds]:
    if sample_key is None:
        raise TypeError("sample_key is missing: name the column of obs that has the samples.")
    dataset = SampleDataset.from_anndata(adata, sample_key=sample_key, use_rep=use_rep, layer=layer)
    return dataset.names, dataset.clouds(n_cells, random_state=random_state)


def _map(adata: AnnData, ground_metric: Any) -> tuple[np.ndarray | None, dict[str, Any]]:
    """The map W, (r, D), however it was named, and what `LEARNED` says of how it was learned."""
    if ground_metric is None:
        return None, LEARNED
    W, params = ground_metric, {}
    if isinstance(ground_metric, str):
        record = adata.uns.get(ground_metric)
        if not isinstance(record, Mapping) or "components" not in record:
            raise KeyError(
                f"uns has no map {ground_metric!r}, it has {listed(adata.uns)}; run "
                "ld.tl.ground_metric first."
            )
        W, params = record["components"], from_uns(record.get("params", {}))
    elif hasattr(ground_metric, "get_params"):
        check_is_fitted(ground_metric)
        W, params = ground_metric.components_, ground_metric.get_params()
    W = np.asarray(W, dtype=np.float64)
    if W.ndim != 2 or not np.isfinite(W).all():
        raise ValueError(f"ground_metric must be finite numbers (r, D), got shape {W.shape}.")
    return W, {name: params.get(name, value) for name, value in LEARNED.items()}


def _fitting(W: np.ndarray, n_columns: int) -> np.ndarray:
    if W.shape[1] != n_columns:
        raise ValueError(
            f"ground_metric has {W.shape[1]} columns and the samples have {n_columns}."
        )
    return W
