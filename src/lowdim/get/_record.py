"""Find what a tool left in an AnnData, or say what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from lowdim._keys import SelectionRecord, SubspaceKeys, SubspaceRecord

if TYPE_CHECKING:
    from anndata import AnnData


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
    return cast(SubspaceRecord, _find(adata, SubspaceKeys(key).record, "bases", command))


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
    return cast(SelectionRecord, _find(adata, name, "table", command))


def _find(adata: AnnData, name: str, mark: str, command: str) -> Mapping[str, Any]:
    if not hasattr(adata, "uns"):
        raise TypeError(f"adata is a {type(adata).__name__}, not an AnnData.")
    record = adata.uns.get(name)
    if isinstance(record, Mapping) and mark in record:
        return record
    present = [k for k, v in adata.uns.items() if isinstance(v, Mapping) and mark in v]
    raise ValueError(
        f"adata.uns has no {name!r} from lowdim (it has {sorted(present)}); run {command} first."
    )


def component_names(record: SubspaceRecord) -> list[str]:
    """Names of the components, as in the categories of the labels."""
    return [str(k) for k in range(len(record["weights"]))]


def axis_names(record: SubspaceRecord) -> list[str]:
    """Names of all axes, component by component: "0:1" is axis 1 of component 0."""
    return [f"{k}:{axis}" for k, d in enumerate(record["dims"]) for axis in range(int(d))]
