"""Files that hold an AnnData (`.h5ad`, `.zarr`), and their matrices: opened but not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

SUFFIXES = (".h5ad", ".zarr")


def open_matrix(path: Path, *, layer: str | None, use_rep: str | None) -> tuple[Any, Any]:
    """Open one matrix of a file without reading it.

    Unlike AnnData's own backed mode, layers and `obsm` stay on disk as well.

    Parameters
    ----------
    path
        A `.h5ad` file or the folder of a `.zarr` store.
    layer, use_rep
        A key of its `layers` or its `obsm`; neither: `X`.

    Returns
    -------
    element
        The array or the group.
    feature_names
        Names of the columns, (D,), where the columns are genes; otherwise None.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ImportError
        A `.zarr` store without the package zarr.
    ValueError
        It is not such a file, or has no such key.
    """
    file = open_store(path)
    if use_rep is not None and use_rep != "X":
        return _element(file, f"obsm/{use_rep}", "use_rep", use_rep, path), None
    key, argument = ("X", "X") if layer is None else (f"layers/{layer}", "layer")
    return _element(file, key, argument, layer or "X", path), _var_names(file)


def is_zarr(path: Path) -> bool:
    """Whether a path is, by its suffix, that of a zarr store."""
    return path.suffix.lower() == ".zarr"


def kind_of(path: Path) -> str:
    """What errors call a file, by its suffix."""
    return ".zarr store" if is_zarr(path) else ".h5ad file"


def elements(group: Any) -> dict[str, Any]:
    """What is in a group, by name; zarr's groups are no mappings."""
    return {name: group[name] for name in group}


def open_store(path: Path) -> Any:
    """The group that a `.h5ad` file or a `.zarr` store is, open to be read.

    Raises
    ------
    FileNotFoundError, ImportError, ValueError
        As by `open_matrix`.
    """
    if not path.exists():
        raise FileNotFoundError(f"There is no file {str(path)!r}; check the path.")
    return _open_zarr(path) if is_zarr(path) else _open_h5ad(path)


def check_zarr(path: Path) -> None:
    """Make sure that a zarr store can be read or written.

    Raises
    ------
    ImportError
        The package zarr is not installed.
    """
    try:
        import zarr  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{str(path)!r} needs the package zarr, which is not installed: pip install zarr."
        ) from error


def _open_h5ad(path: Path) -> Any:
    import h5py

    try:
        return h5py.File(path, mode="r")
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read as a .h5ad file: {error}.") from error


def _open_zarr(path: Path) -> Any:
    check_zarr(path)
    import zarr

    try:
        return zarr.open_group(str(path), mode="r")
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{str(path)!r} cannot be read as a .zarr store: {error}.") from error


def _element(file: Any, key: str, argument: str, value: str, path: Path) -> Any:
    """One element of the file; an error that lists the choices if it is not there."""
    if key in file:
        return file[key]
    parent = key.rpartition("/")[0]
    choices = sorted(file[parent]) if parent in file else []
    listed = f"its {parent} are {choices}" if parent else "it has no X; pass layer= or use_rep="
    raise ValueError(f"{argument}={value!r} is not in {str(path)!r}; {listed}.")


def _var_names(file: Any) -> np.ndarray | None:
    """Names of the genes; None for files of an age that kept them another way."""
    from anndata.io import read_elem

    var = file.get("var")
    index = None if var is None else var.attrs.get("_index")
    if index is None:
        return None
    return np.asarray(read_elem(var[index]), dtype=object)
