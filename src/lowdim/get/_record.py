"""Find what a tool left in an AnnData, or say what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from lowdim._keys import (
    FactorRecord,
    MixtureKeys,
    MixtureRecord,
    SelectionRecord,
    SpatialFactorKeys,
    SubspaceKeys,
    SubspaceRecord,
)

if TYPE_CHECKING:
    from anndata import AnnData

_SUBSPACES, _MIXTURE, _FACTORS = "bases", "family", "n_spatial"
_FITS = (_SUBSPACES, _MIXTURE, _FACTORS)
"""Entries by which the fits of the tools are known."""


def find_record(adata: AnnData, key: str) -> SubspaceRecord:
    """The fit in ``uns[key]``.

    Raises
    ------
    TypeError
        `adata` is no AnnData.
    ValueError
        There is no such fit.
    """
    command = f"ld.tl.subspaces(adata, key_added={key!r})"
    return cast(SubspaceRecord, _find(adata, SubspaceKeys(key).record, (_SUBSPACES,), command))


def find_mixture(adata: AnnData, key: str) -> MixtureRecord:
    """The fit of `ld.tl.mixture` in ``uns[key]``.

    Raises
    ------
    TypeError
        `adata` is no AnnData.
    ValueError
        There is no such fit.
    """
    command = f"ld.tl.mixture(adata, key_added={key!r})"
    return cast(MixtureRecord, _find(adata, MixtureKeys(key).record, (_MIXTURE,), command))


def find_fit(adata: AnnData, key: str) -> SubspaceRecord | MixtureRecord:
    """The fit in ``uns[key]``, of subspaces or of another mixture.

    Raises
    ------
    TypeError
        `adata` is no AnnData.
    ValueError
        There is no such fit.
    """
    tool = "mixture" if key == MixtureKeys().key else "subspaces"
    command = f"ld.tl.{tool}(adata, key_added={key!r})"
    record = _find(adata, MixtureKeys(key).record, (_SUBSPACES, _MIXTURE), command)
    return cast(SubspaceRecord | MixtureRecord, record)


def find_factors(adata: AnnData, key: str) -> FactorRecord:
    """The fit of `ld.tl.spatial_factors` in ``uns[key]``.

    Raises
    ------
    TypeError
        `adata` is no AnnData.
    ValueError
        There is no such fit.
    """
    command = f"ld.tl.spatial_factors(adata, key_added={key!r})"
    record = _find(adata, SpatialFactorKeys(key).record, (_FACTORS,), command)
    return cast(FactorRecord, record)


def has_factors(adata: AnnData, key: str) -> bool:
    """Whether ``uns[key]`` is a fit of `ld.tl.spatial_factors`."""
    return _has_any(getattr(adata, "uns", {}).get(key), (_FACTORS,))


def find_selection(adata: AnnData, key: str) -> SelectionRecord:
    """The search in ``uns[f"{key}_selection"]``.

    Raises
    ------
    TypeError
        `adata` is no AnnData.
    ValueError
        There is no such search.
    """
    name = SubspaceKeys(key).selection
    command = f"ld.tl.select_subspaces(adata, key_added={key!r})"
    return cast(SelectionRecord, _find(adata, name, ("table",), command))


def _find(adata: AnnData, name: str, marks: tuple[str, ...], command: str) -> Mapping[str, Any]:
    """An entry of `uns` that has one of the marks."""
    if not hasattr(adata, "uns"):
        raise TypeError(f"adata is a {type(adata).__name__}, not an AnnData.")
    record = adata.uns.get(name)
    if isinstance(record, Mapping) and _has_any(record, marks):
        return record
    present = [k for k, v in adata.uns.items() if _has_any(v, marks)]
    others = [k for k, v in adata.uns.items() if _has_any(v, _FITS) and k not in present]
    hint = f" Fits of other tools are there, name one with key=: {sorted(others)}."
    raise ValueError(
        f"adata.uns has no {name!r} from lowdim (it has {sorted(present)}); run {command} first."
        + (hint if others else "")
    )


def _has_any(value: Any, marks: tuple[str, ...]) -> bool:
    return isinstance(value, Mapping) and any(mark in value for mark in marks)


def component_names(record: SubspaceRecord | MixtureRecord) -> list[str]:
    """Names of the components, as in the categories of the labels."""
    return [str(k) for k in range(n_components(record))]


def n_components(record: Mapping[str, Any]) -> int:
    """K."""
    return len(np.asarray(record["means" if "means" in record else "cluster_centers"]))


def axis_names(record: SubspaceRecord) -> list[str]:
    """Names of all axes, component by component: "0:1" is axis 1 of component 0."""
    return [f"{k}:{axis}" for k, d in enumerate(record["dims"]) for axis in range(int(d))]
