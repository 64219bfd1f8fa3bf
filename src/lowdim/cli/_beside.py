"""A new file that has what another has but for some elements: piece by piece, never in memory."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim.cli._anndata_file import close, matrices, opened
from lowdim.data.read_ahead import row_blocks
from lowdim.data.sources import as_rows
from lowdim.data.stores import elements, is_zarr

if TYPE_CHECKING:
    from lowdim._typing import Rows

_DENSE = {"encoding-type": "array", "encoding-version": "0.2.0"}
"""What tells AnnData that it may read an array."""

_SPARSE = ("csr_matrix", "csc_matrix")
"""What AnnData calls a group of `data`, `indices` and `indptr`."""

_BLOCK_BYTES = 2**26
"""Size of the blocks in which a file is copied, if they were dense."""


@contextmanager
def beside(source: Path, path: Path, *, but: Collection[str]) -> Iterator[tuple[Any, Any]]:
    """Another file and a new one, both open.

    Parameters
    ----------
    source, path
        A `.h5ad` file or the folder of a `.zarr` store, each.
    but
        Elements that the new one is to have none of.
    """
    with opened(source) as old:
        if is_zarr(source) and is_zarr(path):
            new = _copied_folder(source, path, but)
        else:
            new = _empty(path)
            new.attrs.update(old.attrs)
            for name in [element for element in old if element not in but]:
                if is_zarr(source) or is_zarr(path):
                    _copy(old, new, name)
                else:
                    old.copy(name, new)  # by HDF5, piece by piece
        try:
            yield old, new
            if is_zarr(path):
                import zarr

                zarr.consolidate_metadata(new.store)
        finally:
            close(new)


def copy_columns(old: Any, new: Any, kept: np.ndarray) -> None:
    """Copy some columns of `X`, the layers and `varp`, the first two in blocks of rows."""
    from anndata.io import read_elem, write_elem

    if "layers" in old:
        new.create_group("layers").attrs.update(old["layers"].attrs)
    for place, item in matrices(old).items():
        source = as_rows(item, name=place)
        dtype = item["data"].dtype if source.is_sparse else item.dtype
        step = max(1, _BLOCK_BYTES // (8 * source.n_cols))
        for start, rows in row_blocks(source, step):
            _append(new, place, rows[:, kept].astype(dtype), start, source.n_rows)
    if "varp" in old:
        pairs = elements(old["varp"]).items()
        write_elem(new, "varp", {name: read_elem(item)[kept][:, kept] for name, item in pairs})


def _append(file: Any, place: str, rows: Rows, start: int, n_rows: int) -> None:
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
        _new_array(file, place, (n_rows, rows.shape[1]), rows.dtype).attrs.update(_DENSE)
    file[place][start : start + len(rows)] = rows


def _copied_folder(source: Path, path: Path, but: Collection[str]) -> Any:
    """A copy of a zarr store without some of its elements, open."""
    import zarr

    def left_out(folder: str, names: list[str]) -> set[str]:
        return set(names) & set(but) if Path(folder) == source else set()

    shutil.copytree(source, path, ignore=left_out)
    # What is said of all elements in one place still names those that were left out.
    return zarr.open_group(str(path), mode="r+", use_consolidated=False)


def _empty(path: Path) -> Any:
    """A new file, open."""
    if is_zarr(path):
        import zarr
        from anndata import settings

        version: Any = getattr(settings, "zarr_write_format", 2)
        return zarr.open_group(str(path), mode="w", zarr_format=version)
    import h5py

    return h5py.File(path, "w")


def _copy(old: Any, new: Any, name: str) -> None:
    """Copy an element between an HDF5 and a zarr group."""
    from anndata.io import read_elem, write_elem

    item = old[name]
    kind = item.attrs.get("encoding-type", "")
    if hasattr(item, "keys") and (kind in _SPARSE or kind in ("dict", "raw")):
        group = new.create_group(name)
        group.attrs.update(_plain(item.attrs))
        for part in item:
            if kind in _SPARSE:
                _copy_array(item[part], group, part)
            else:
                _copy(item, group, part)
    elif kind == "array" and item.dtype.kind in "biuf":
        _copy_array(item, new, name)
    else:
        write_elem(new, name, read_elem(item))


def _copy_array(item: Any, group: Any, name: str) -> None:
    """Copy an array in blocks along its first axis."""
    array = _new_array(group, name, item.shape, item.dtype)
    array.attrs.update(_plain(item.attrs))
    row_bytes = max(1, item.dtype.itemsize * int(np.prod(item.shape[1:])))
    whole = array.chunks[0] if array.chunks else 1  # so that no chunk is written twice
    step = max(1, _BLOCK_BYTES // row_bytes // whole) * whole
    for start in range(0, item.shape[0], step):
        array[start : start + step] = item[start : start + step]


def _new_array(group: Any, name: str, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    create = getattr(group, "create_array", None) or group.create_dataset  # zarr, HDF5
    return create(name, shape=shape, dtype=dtype)


def _plain(attributes: Any) -> dict[str, Any]:
    """Attributes without arrays, which JSON does not know."""
    return {
        name: value.tolist() if hasattr(value, "tolist") else value
        for name, value in attributes.items()
    }
