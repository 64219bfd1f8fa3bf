"""Data files: read one, and write others without touching it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowdim._files import replacing
from lowdim._memory import free_memory
from lowdim.cli._usage import UsageError

if TYPE_CHECKING:
    import h5py
    from anndata import AnnData

IN_MEMORY_SHARE = 0.4
"""Matrices are read into memory if they take no more than this share of what is free: a fit takes
about as much again."""

_TABLES = ("obs", "var", "obsm", "varm", "uns")
"""What fits write to; all else in a file stays as it is."""

_NO_FOLDERS = {".csv", ".h5", ".hdf5", ".html", ".loom", ".zarr"}


def check_input(path: str) -> Path:
    """The path of a file that exists and may be .h5ad.

    Raises
    ------
    FileNotFoundError, ValueError
        It does not, or may not.
    """
    file = Path(path)
    if not file.exists():
        raise FileNotFoundError(f"There is no file {path!r}.")
    if file.is_dir() or file.suffix.lower() != ".h5ad":
        raise ValueError(
            f"{path!r} is not a .h5ad file; convert other formats with anndata or scanpy."
        )
    return file


def counts_layer(adata: AnnData, layer: str | None) -> str | None:
    """The layer that was asked for; by default "counts" if there is one, else None for `X`."""
    return "counts" if layer is None and "counts" in adata.layers else layer


def read(path: str) -> AnnData:
    """Read a .h5ad file into memory."""
    from anndata import read_h5ad

    file = check_input(path)
    try:
        return read_h5ad(file)
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"{path!r} cannot be read as a .h5ad file: {error}") from error


def matrix_bytes(path: str) -> int:
    """What `X` and the layers of a .h5ad file take in memory.

    Raises
    ------
    ValueError
        It is no such file.
    """
    import h5py

    try:
        with h5py.File(check_input(path)) as file:
            return sum(_bytes(item) for item in _matrices(file).values())
    except OSError as error:
        raise ValueError(f"{path!r} cannot be read as a .h5ad file: {error}") from error


def is_large(path: str) -> bool:
    """Whether the matrices of a file had better stay there."""
    free = free_memory()
    return free is not None and matrix_bytes(path) > IN_MEMORY_SHARE * free


def open_on_disk(path: str) -> AnnData:
    """An AnnData whose `X` and layers stay in the file; tables are read."""
    import h5py
    from anndata import AnnData
    from anndata.io import read_elem

    file = h5py.File(check_input(path))
    tables = {name: read_elem(file[name]) for name in _TABLES if name in file}
    matrices = {name: _on_disk(item) for name, item in _matrices(file).items()}
    X = matrices.pop("X", None)
    layers = {name.removeprefix("layers/"): item for name, item in matrices.items()}
    return AnnData(X, layers=layers, **tables)


def _matrices(file: h5py.File) -> dict[str, Any]:
    """`X` and the layers, by their place."""
    names = [*(["X"] if "X" in file else []), *(f"layers/{k}" for k in file.get("layers", ()))]
    return {name: file[name] for name in names}


def _on_disk(item: Any) -> Any:
    from anndata.io import sparse_dataset

    return sparse_dataset(item) if hasattr(item, "keys") else item


def _bytes(item: Any) -> int:
    parts = item.values() if hasattr(item, "keys") else [item]
    return sum(int(part.size) * part.dtype.itemsize for part in parts)


def write(adata: AnnData, path: Path) -> None:
    """Write a .h5ad file, which appears under its name when it is complete."""
    with replacing(path) as temporary:
        adata.write_h5ad(temporary)


def write_beside(adata: AnnData, path: Path, source: str) -> None:
    """Write the tables of an AnnData, and all else as it is in the file that it came from.

    HDF5 copies that piece by piece, so that it is never in memory.
    """
    import h5py
    from anndata.io import write_elem

    with replacing(path) as temporary, h5py.File(source) as old, h5py.File(temporary, "w") as new:
        new.attrs.update(old.attrs)
        for name in old:
            if name not in _TABLES:
                old.copy(name, new)
        for name in _TABLES:
            table = getattr(adata, name)
            write_elem(new, name, table if name in ("obs", "var") else dict(table))


def result_path(output: str) -> tuple[Path, bool]:
    """Where a result goes, and whether `output` names a folder for it.

    Raises
    ------
    UsageError
        It is neither a .h5ad file nor a folder.
    """
    path = Path(output)
    if path.suffix.lower() == ".h5ad" and not path.is_dir():
        return path, False
    if path.is_file() or (path.suffix.lower() in _NO_FOLDERS and not path.is_dir()):
        raise UsageError(f"--output {output} must be a .h5ad file or a folder.")
    return path / "result.h5ad", True


def check_output(path: Path, source: Path | None = None) -> None:
    """Make sure, before any work, that a file can be written and is not the input.

    Raises
    ------
    UsageError
        It is the input.
    OSError
        Its folder cannot be made or written to.
    """
    if source is not None and path.exists() and path.samefile(source):
        raise UsageError(f"--output would overwrite the input {source}; name another file.")
    if path.is_dir():
        raise UsageError(f"--output {path} is a folder; name a file.")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"The folder {str(path.parent)!r} cannot be written to.")
