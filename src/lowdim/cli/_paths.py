"""Paths that commands are given: what may be read, and what may be written, before any work."""

from __future__ import annotations

import os
from pathlib import Path

from lowdim.cli._usage import UsageError
from lowdim.data.stores import SUFFIXES, check_zarr, is_zarr

_NO_FOLDERS = {".csv", ".h5", ".hdf5", ".html", ".loom"}

_IN_ZARR = ("zarr.json", ".zgroup")
"""One of these is in the folder of every zarr store."""


def check_input(path: str) -> Path:
    """The path of a .h5ad file or a .zarr store that exists.

    Raises
    ------
    FileNotFoundError, ImportError, ValueError
        It does not, it needs the package zarr, or it is neither.
    """
    file = Path(path)
    if not file.exists():
        raise FileNotFoundError(f"There is no file {path!r}.")
    if file.suffix.lower() not in SUFFIXES or file.is_dir() != is_zarr(file):
        raise ValueError(
            f"{path!r} is neither a .h5ad file nor the folder of a .zarr store; convert other "
            "formats with anndata or scanpy."
        )
    if is_zarr(file):
        check_zarr(file)
    return file


def result_path(output: str, source: Path) -> tuple[Path, bool]:
    """Where a result goes, and whether `output` names a folder for it.

    In a folder it is of the kind of the source.

    Raises
    ------
    UsageError
        It is neither a .h5ad file, nor a .zarr store, nor a folder.
    """
    path = Path(output)
    suffix = path.suffix.lower()
    if (suffix == ".h5ad" and not path.is_dir()) or (is_zarr(path) and not path.is_file()):
        return path, False
    if path.is_file() or (suffix in _NO_FOLDERS and not path.is_dir()):
        raise UsageError(f"--output {output} must be a .h5ad file, a .zarr store or a folder.")
    return path / f"result{source.suffix.lower()}", True


def check_output(path: Path, source: Path | None = None) -> None:
    """Make sure, before any work, that a file can be written and is not the input.

    Raises
    ------
    UsageError
        It is the input, in it or around it; or a folder that is no .zarr store.
    ImportError
        It needs the package zarr.
    OSError
        Its folder cannot be made or written to.
    """
    if source is not None and _overlap(path.resolve(), source.resolve()):
        raise UsageError(f"--output would overwrite the input {source}; name another file.")
    if path.is_dir() and not (is_zarr(path) and _may_be_replaced(path)):
        raise UsageError(f"--output {path} is a folder; name a file.")
    if is_zarr(path):
        check_zarr(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"The folder {str(path.parent)!r} cannot be written to.")


def _overlap(one: Path, other: Path) -> bool:
    """Whether two paths are the same, or one is in the other; hard links are the same."""
    if one == other or one in other.parents or other in one.parents:
        return True
    return one.exists() and one.samefile(other)


def _may_be_replaced(folder: Path) -> bool:
    """Whether a folder is a zarr store or empty."""
    return not any(folder.iterdir()) or any((folder / name).exists() for name in _IN_ZARR)
