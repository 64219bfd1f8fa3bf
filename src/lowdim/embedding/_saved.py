"""Layouts in files: parameters, what the fit left, and the index that new rows are sought in."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

import lowdim.affinities as affinities
from lowdim import _storage, embedding
from lowdim._packing import packed, unpacked
from lowdim.embedding import output_affinities
from lowdim.embedding._base import NeighborLayout
from lowdim.embedding.cosne import CentreTerm
from lowdim.neighbors import NeighborIndex, Neighbors
from lowdim.neighbors._space import Space
from lowdim.neighbors.search import CellsState, IndexState

#: Parameters that stand for something outside the model, and come back as None.
OUTSIDE = ("callbacks", "checkpoint", "encoder")
_RECORDS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        affinities.Graph,
        affinities.Pairs,
        affinities.Potential,
        CellsState,
        CentreTerm,
        IndexState,
        Neighbors,
        Space,
    )
}
_AFFINITIES: dict[str, Any] = {
    kind.__name__: kind
    for kind in [*vars(affinities).values(), *vars(output_affinities).values()]
    if isinstance(kind, type) and issubclass(kind, BaseEstimator)
}
_LAYOUTS: dict[str, Any] = {
    kind.__name__: kind
    for kind in vars(embedding).values()
    if isinstance(kind, type) and issubclass(kind, NeighborLayout)
}


def save(model: Any, path: str | Path, also: tuple[str, ...] = ()) -> None:
    """Write a fitted layout to one HDF5 file, never a pickle.

    Parameters
    ----------
    model : estimator
    path
    also : tuple of str
        Private attributes that belong to the fit.

    Raises
    ------
    TypeError
        A parameter or attribute has no form in a file.
    """
    check_is_fitted(model)
    arrays: dict[str, np.ndarray] = {}
    state = _state(model, also)
    header = {
        "class": type(model).__name__,
        "params": {
            n: packed(own, f"params.{n}", arrays, _packed) for n, own in state["params"].items()
        },
        "fitted": {n: packed(own, n, arrays, _packed) for n, own in state["fitted"].items()},
    }
    _storage.write(path, header, arrays)


def load(kind: Any, path: str | Path) -> Any:
    """A layout of a class that `save` wrote."""
    header, arrays = _storage.read(path, expected=kind.__name__)
    parts = ("params", "fitted")
    return _model(
        kind,
        *(
            {n: unpacked(own, arrays, _unpacked) for n, own in header[part].items()}
            for part in parts
        ),
    )


def _state(model: Any, also: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Parameters of a model, and what its fit left, if it is fitted."""
    params = model.get_params(deep=False)
    fitted = {
        name: value
        for name, value in vars(model).items()
        if (name.endswith("_") and not name.startswith("_")) or name in also
    }
    return {
        "params": {n: None if n in OUTSIDE else value for n, value in params.items()},
        "fitted": fitted,
    }


def _model(kind: Any, params: dict[str, Any], fitted: dict[str, Any]) -> Any:
    """A model in the state that `_state` told."""
    model = kind(**_storage.params_of({"params": params}))
    for name, value in fitted.items():
        setattr(model, name, value)
    return model


def _packed(value: Any, name: str, inner: Any) -> Any:
    """What only layouts have as JSON holds it; see `lowdim._packing.packed`."""
    if isinstance(value, (np.random.Generator, np.random.RandomState)):
        return None  # a stream that has moved on cannot be given back
    if sp.issparse(value):
        value = sp.csr_matrix(value)
        parts = {"data": value.data, "indices": value.indices, "indptr": value.indptr}
        return {"kind": "csr", "shape": list(value.shape), "items": inner(parts)}
    if isinstance(value, NeighborIndex):
        return {"kind": "index", "items": inner({"state": value.state})}
    kind = type(value).__name__
    if is_dataclass(value) and kind in _RECORDS:
        own = {field.name: getattr(value, field.name) for field in fields(value)}
        return {"kind": kind, "items": inner(own)}
    if hasattr(value, "state_dict"):  # a network's numbers; what computes with them stays outside
        state = {key: own.cpu().numpy() for key, own in value.state_dict().items()}
        return {"kind": "dict", "items": inner(state)}
    if kind in _AFFINITIES and type(value) is _AFFINITIES[kind]:
        return {"kind": kind, "items": inner(value.get_params(deep=False))}
    if kind in _LAYOUTS and type(value) is _LAYOUTS[kind]:
        return {"kind": "layout", "class": kind, "items": inner(_state(value, value._also))}
    raise TypeError(
        f"{name} is a {kind}, which a file cannot hold; give it a plain value by set_params before "
        "saving."
    )


def _unpacked(kind: str, value: Any, parts: dict[str, Any]) -> Any:
    """The inverse, of unpacked items."""
    if kind == "csr":
        own = parts["data"], parts["indices"], parts["indptr"]
        return sp.csr_matrix(own, shape=tuple(value["shape"]))
    if kind == "layout" and value["class"] in _LAYOUTS:
        return _model(_LAYOUTS[value["class"]], **parts)
    if kind == "index":
        return NeighborIndex.of_state(parts["state"])
    if kind in _RECORDS:
        return _RECORDS[kind](**parts)
    if kind in _AFFINITIES:
        return _AFFINITIES[kind](**parts)
    raise ValueError(f"The file has a {kind!r}, which this version does not know; upgrade lowdim.")
