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


def matrices(file: h5py.File) -> dict[str, Any]:
    """`X` and the layers of an open .h5ad file, by their place."""
    names = [*(["X"] if "X" in file else []), *(f"layers/{k}" for k in file.get("layers", ()))]
    return {name: file[name] for name in names}


def matrix_bytes(path: str) -> int:
    """What `X` and the layers of a .h5ad file take in memory.

    Raises
    ------
    ValueError
        It is no such file.
    """
    with opened(path) as file:
        return sum(stored_bytes(item) for item in matrices(file).values())


def is_large(path: str) -> bool:
    """Whether the matrices of a file had better stay there."""
    free = free_memory()
    return free is not None and matrix_bytes(path) > IN_MEMORY_SHARE * free


def opened(path: str) -> h5py.File:
    """A .h5ad file that exists, open to be read.

    Raises
    ------
    FileNotFoundError, ValueError
        It is not there, or is none.
    """
    import h5py

    try:
        return h5py.File(check_input(path))
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{path!r} cannot be read as a .h5ad file: {error}") from error


def stored_bytes(item: Any) -> int:
    """What an array or a sparse matrix of a file takes in memory."""
    parts = item.values() if hasattr(item, "keys") else [item]
    return sum(int(part.size) * part.dtype.itemsize for part in parts)


def write(adata: AnnData, path: Path) -> None:
    """Write a .h5ad file, which appears under its name when it is complete."""
    with replacing(path) as temporary:
        adata.write_h5ad(temporary)


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
