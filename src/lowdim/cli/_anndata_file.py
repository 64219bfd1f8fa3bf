"""Files that hold an AnnData (`.h5ad`, `.zarr`): read one, and write one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowdim._files import replacing
from lowdim.cli._paths import check_input
from lowdim.data.stores import elements, is_zarr, kind_of, open_store

if TYPE_CHECKING:
    from anndata import AnnData


def counts_layer(adata: AnnData, layer: str | None) -> str | None:
    """The layer that was asked for; by default "counts" if there is one, else None for `X`."""
    return "counts" if layer is None and "counts" in adata.layers else layer


def read(path: str) -> AnnData:
    """Read a file into memory."""
    from anndata import io

    file = check_input(path)
    try:
        return io.read_zarr(file) if is_zarr(file) else io.read_h5ad(file)
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"{path!r} cannot be read as a {kind_of(file)}: {error}") from error


def write(adata: AnnData, path: Path) -> None:
    """Write a file, which appears under its name when it is complete."""
    with replacing(path) as temporary:
        if is_zarr(path):
            adata.write_zarr(temporary)
        else:
            adata.write_h5ad(temporary)


@contextmanager
def opened(path: str | Path) -> Iterator[Any]:
    """The group that a file is, open to be read.

    Raises
    ------
    FileNotFoundError, ImportError, ValueError
        It is not there, or is none.
    """
    file = open_store(check_input(str(path)))
    try:
        yield file
    finally:
        close(file)


def close(file: Any) -> None:
    """Close a file; a zarr store has nothing to close."""
    if hasattr(file, "close"):
        file.close()


def matrices(file: Any) -> dict[str, Any]:
    """`X` and the layers of an open file, by their place."""
    names = [*(["X"] if "X" in file else []), *(f"layers/{k}" for k in file.get("layers", ()))]
    return {name: file[name] for name in names}


def matrix_bytes(path: str) -> int:
    """What `X` and the layers of a file take in memory.

    Raises
    ------
    FileNotFoundError, ImportError, ValueError
        It is no such file.
    """
    with opened(path) as file:
        return sum(stored_bytes(item) for item in matrices(file).values())


def stored_bytes(item: Any) -> int:
    """What an array or a sparse matrix of a file takes in memory."""
    parts = elements(item).values() if hasattr(item, "keys") else [item]
    return sum(int(part.size) * part.dtype.itemsize for part in parts)
