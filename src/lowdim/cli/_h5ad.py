"""Data files: read one, and write others without touching it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lowdim._files import replacing
from lowdim.cli._usage import UsageError

if TYPE_CHECKING:
    from anndata import AnnData

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
