"""The data of a command: in memory, or left in their file, beside which the result is written."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._files import replacing
from lowdim.cli import _h5ad
from lowdim.data.read_ahead import row_blocks
from lowdim.data.sources import as_rows

if TYPE_CHECKING:
    import h5py
    from anndata import AnnData

    from lowdim._typing import Rows

TABLES = ("obs", "var", "obsm", "varm", "uns")
"""What fits write to; all else in a file stays as it is."""

_DENSE = {"encoding-type": "array", "encoding-version": "0.2.0"}
"""What tells AnnData that it may read an array."""

_BLOCK_BYTES = 2**26
"""Size of the blocks in which a file is copied, if they were dense."""


@dataclass(frozen=True)
class DataFile:
    """An AnnData from a file.

    Attributes
    ----------
    adata
    left_in
        The file in which `X`, the layers and `obsp` have stayed; None if they are in memory.
    """

    adata: AnnData
    left_in: Path | None = None

    @classmethod
    def open(cls, path: str, *, use_rep: str | None = None) -> DataFile:
        """Leave matrices in a file that is large, or of which only a representation is fitted."""
        if _h5ad.is_large(path) or (use_rep not in (None, "X") and _can_stay(path)):
            return cls.left(path)
        return cls(_h5ad.read(path))

    @classmethod
    def left(cls, path: str | Path) -> DataFile:
        """Leave `X`, the layers and `obsp` in a file; the tables are read."""
        from anndata import AnnData
        from anndata.io import read_elem

        file = _h5ad.opened(str(path))
        tables = {name: read_elem(file[name]) for name in TABLES if name in file}
        found = {name: _unread(item) for name, item in _h5ad.matrices(file).items()}
        X = found.pop("X", None)
        layers = {name.removeprefix("layers/"): item for name, item in found.items()}
        obsp = {name: _unread(item) for name, item in file.get("obsp", {}).items()}
        return cls(AnnData(X, layers=layers, obsp=obsp, **tables), Path(path))

    def of_genes(self, kept: np.ndarray, folder: Path) -> DataFile:
        """The same of some genes, (D,) booleans; matrices in a file go to another, in a folder."""
        adata = self.adata
        if self.left_in is None:
            return DataFile(adata[:, kept].copy())
        varm = {name: table[kept] for name, table in adata.varm.items()}
        path = folder / "genes.h5ad"
        with _beside(self.left_in, path, {**_tables(adata), "var": adata.var[kept], "varm": varm},
                     but=("X", "layers", "varp")) as (old, new):  # fmt: skip
            _copy_columns(old, new, kept)
        return DataFile.left(path)

    def write(self, path: Path) -> None:
        """Write a .h5ad file with all that there is, which appears when it is complete."""
        if self.left_in is None:
            _h5ad.write(self.adata, path)
            return
        with replacing(path) as temporary, _beside(self.left_in, temporary, _tables(self.adata)):
            pass


def _tables(adata: AnnData) -> dict[str, Any]:
    return {name: getattr(adata, name) for name in TABLES}


def _can_stay(path: str) -> bool:
    """Whether the matrices of a file can be read by rows where they are."""
    with _h5ad.opened(path) as file:
        kinds = [item.attrs.get("encoding-type", "") for item in _h5ad.matrices(file).values()]
        current = file.attrs.get("encoding-type") == "anndata"  # older files have other forms
        return current and not any(kind.startswith("csc") for kind in kinds)


def _unread(item: Any) -> Any:
    """An array or a matrix of a file as an AnnData holds it."""
    from anndata.io import sparse_dataset

    return sparse_dataset(item) if hasattr(item, "keys") else item


@contextmanager
def _beside(
    source: Path, path: Path, tables: dict[str, Any], *, but: Collection[str] = ()
) -> Iterator[tuple[h5py.File, h5py.File]]:
    """A new file with tables and, as it is, all else of another but for a few things; both open.

    HDF5 copies piece by piece, so that no matrix is ever in memory.
    """
    import h5py
    from anndata.io import write_elem

    with h5py.File(source) as old, h5py.File(path, "w") as new:
        new.attrs.update(old.attrs)
        for name in old:
            if name not in TABLES and name not in but:
                old.copy(name, new)
        for name, table in tables.items():
            write_elem(new, name, table if name in ("obs", "var") else dict(table))
        yield old, new


def _copy_columns(old: h5py.File, new: h5py.File, kept: np.ndarray) -> None:
    """Copy some columns of `X`, the layers and `varp`, the first two in blocks of rows."""
    from anndata.io import read_elem, write_elem

    if "layers" in old:
        new.create_group("layers").attrs.update(old["layers"].attrs)
    for place, item in _h5ad.matrices(old).items():
        source = as_rows(item, name=place)
        dtype = item["data"].dtype if source.is_sparse else item.dtype
        step = max(1, _BLOCK_BYTES // (8 * source.n_cols))
        for start, rows in row_blocks(source, step):
            _append(new, place, rows[:, kept].astype(dtype), start, source.n_rows)
    if "varp" in old:
        pairs = {name: read_elem(item)[kept][:, kept] for name, item in old["varp"].items()}
        write_elem(new, "varp", pairs)


def _append(file: h5py.File, place: str, rows: Rows, start: int, n_rows: int) -> None:
    """Write rows after those before them, of which there are `start`."""
    from anndata.io import sparse_dataset, write_elem

    if not isinstance(rows, np.ndarray):
        if start:
            sparse_dataset(file[place]).append(rows)
            return
        rows.indptr = rows.indptr.astype(np.int64)  # more values will come
        write_elem(file, place, rows)
        return
    if not start:
        file.create_dataset(place, (n_rows, rows.shape[1]), rows.dtype).attrs.update(_DENSE)
    file[place][start : start + len(rows)] = rows
