"""The data of a command: in memory, or left in their file, beside which the result is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowdim._files import replacing
from lowdim._memory import free_memory
from lowdim.cli import _anndata_file as files
from lowdim.cli._beside import beside, copy_columns
from lowdim.cli._paths import check_input
from lowdim.data.stores import elements, open_store

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData

IN_MEMORY_SHARE = 0.4
"""Matrices are read into memory if they take no more than this share of what is free: a fit takes
about as much again."""

TABLES = ("obs", "var", "obsm", "varm", "uns")
"""What fits write to; all else in a file stays as it is."""


@dataclass(frozen=True)
class DataFile:
    """An AnnData from a file.

    Attributes
    ----------
    adata
    left_in
        The file in which `X`, the layers and `obsp` have stayed; None if they are in memory.
    told
        Where they are, and why.
    """

    adata: AnnData
    left_in: Path | None = None
    told: str = ""

    @classmethod
    def open(cls, path: str, *, use_rep: str | None = None, backed: str = "auto") -> DataFile:
        """Leave matrices in a file that is large, or of which only a representation is fitted.

        `backed` "always" leaves them there, and "never" reads them, whatever their size.
        """
        stays, told = _where(path, None if use_rep == "X" else use_rep, backed)
        return cls.left(path, told) if stays else cls(files.read(path), told=told)

    @classmethod
    def left(cls, path: str | Path, told: str = "") -> DataFile:
        """Leave `X`, the layers and `obsp` in a file; the tables are read."""
        from anndata import AnnData
        from anndata.io import read_elem

        file = open_store(check_input(str(path)))
        tables = {name: read_elem(file[name]) for name in TABLES if name in file}
        found = {name: _unread(item) for name, item in files.matrices(file).items()}
        X = found.pop("X", None)
        layers = {name.removeprefix("layers/"): item for name, item in found.items()}
        obsp = {name: _unread(item) for name, item in elements(file.get("obsp", {})).items()}
        return cls(AnnData(X, layers=layers, obsp=obsp, **tables), Path(path), told)

    def of_genes(self, kept: np.ndarray, folder: Path) -> DataFile:
        """The same of some genes, (D,) booleans; matrices in a file go to another, in a folder."""
        adata = self.adata
        if self.left_in is None:
            return DataFile(adata[:, kept].copy())
        varm = {name: table[kept] for name, table in adata.varm.items()}
        path = folder / f"genes{self.left_in.suffix}"
        but = (*TABLES, "X", "layers", "varp")
        with beside(self.left_in, path, but=but) as (old, new):
            copy_columns(old, new, kept)
            _write_tables(new, {**_tables(adata), "var": adata.var[kept], "varm": varm})
        return DataFile.left(path)

    def write(self, path: Path) -> None:
        """Write a file with all that there is, which appears when it is complete."""
        if self.left_in is None:
            files.write(self.adata, path)
            return
        with replacing(path) as temporary, beside(self.left_in, temporary, but=TABLES) as (_, new):
            _write_tables(new, _tables(self.adata))


def _where(path: str, use_rep: str | None, backed: str) -> tuple[bool, str]:
    """Whether the matrices of a file stay there, and what to say of it."""
    places = {True: f"reading {path} in blocks", False: f"reading {path} into memory"}
    if backed != "auto":
        stays = backed == "always"
        return stays, f"{places[stays]}: --backed {backed}"
    size, free = files.matrix_bytes(path), free_memory()
    large = free is not None and size > IN_MEMORY_SHARE * free
    if not large and use_rep is not None and _can_stay(path):
        return True, f"reading nothing but obsm[{use_rep!r}] and the tables of {path}: --use-rep"
    if free is None:
        return False, f"{places[False]}: how much is free is not known"
    return large, (
        f"{places[large]}: its matrices ({size / 1e9:.1f} GB) take {'' if large else 'no '}more "
        f"than {IN_MEMORY_SHARE:.0%} of the free memory ({free / 1e9:.1f} GB)"
    )


def _tables(adata: AnnData) -> dict[str, Any]:
    return {name: getattr(adata, name) for name in TABLES}


def _write_tables(file: Any, tables: dict[str, Any]) -> None:
    from anndata.io import write_elem

    for name, table in tables.items():
        write_elem(file, name, table if name in ("obs", "var") else dict(table))


def _can_stay(path: str) -> bool:
    """Whether the matrices of a file can be read by rows where they are."""
    with files.opened(path) as file:
        kinds = [item.attrs.get("encoding-type", "") for item in files.matrices(file).values()]
        current = file.attrs.get("encoding-type") == "anndata"  # older files have other forms
        return current and not any(kind.startswith("csc") for kind in kinds)


def _unread(item: Any) -> Any:
    """An array or a matrix of a file as an AnnData holds it."""
    from anndata.io import sparse_dataset

    return sparse_dataset(item) if hasattr(item, "keys") else item
