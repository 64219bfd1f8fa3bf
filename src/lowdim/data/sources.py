"""Row sources: one way to read rows, whatever holds them.

Estimators never ask what they were given. They ask a row source for rows `start` to `stop`, and
get a block that fits in memory.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from lowdim._validation import check_matrix, check_real_dtype, check_shape
from lowdim.data.memory import ArrayRows, SparseRows, TensorRows

if TYPE_CHECKING:
    from lowdim._typing import Rows


@runtime_checkable
class RowSource(Protocol):
    """Anything that delivers rows by number.

    Attributes
    ----------
    n_rows, n_cols
        N and D.
    dtype
        float32 or float64: what is delivered. float32 stays; integers, booleans and other floats
        become float64.
    is_sparse
        Blocks are `scipy.sparse.csr_matrix`, sorted and without duplicates, rather than
        C-contiguous arrays.
    in_memory
        False if every call reads a file.
    feature_names
        Names of the columns, (D,), or None.
    """

    n_rows: int
    n_cols: int
    dtype: np.dtype
    is_sparse: bool
    in_memory: bool
    feature_names: np.ndarray | None

    def rows(self, start: int, stop: int) -> Rows:
        """Rows `start` to `stop` (exclusive). May share memory with the data: do not write."""
        ...

    def take(self, index: np.ndarray) -> Rows:
        """The rows whose numbers are in `index`, which ascends without repeats."""
        ...


def as_rows(
    X: Any, *, layer: str | None = None, use_rep: str | None = None, name: str = "X"
) -> RowSource:
    """Read anything that holds a matrix as a row source. Values are not looked at or copied.

    Parameters
    ----------
    X
        Observations as rows, (N, D): a NumPy array or list of lists, a scipy.sparse matrix or
        array, a dense torch tensor, a pandas DataFrame of numbers, a Dask array, an AnnData (in
        memory, backed or of Dask arrays), an array of an HDF5 file or a zarr store, the path of a
        `.h5ad` file or a `.zarr` store, or a row source, which is passed through. What is in a file
        is read block by block.
    layer
        For an AnnData or a path: read this layer instead of `X`.
    use_rep
        For an AnnData or a path: read this key of `obsm` instead of `X` ("X" means `X`).
    name
        What errors call the matrix.

    Returns
    -------
    The row source. Its `feature_names` are the columns of a DataFrame whose columns are all
    strings, or the `var_names` of an AnnData whose `X` or layer is read.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ImportError
        A `.zarr` store without the package zarr.
    TypeError
        `X` is of no type above or not numeric; `layer` or `use_rep` with something other than an
        AnnData or a path.
    ValueError
        Both `layer` and `use_rep`; a key that does not exist; not 2-D; no rows or no columns;
        complex numbers; a backed matrix stored by columns; Dask chunks of unknown sizes.
    """
    if layer is not None and use_rep is not None:
        raise ValueError(
            f"layer={layer!r} and use_rep={use_rep!r} name two matrices; pass only one of them."
        )
    if _is_a(X, "anndata", "AnnData"):
        return _anndata_rows(X, layer, use_rep, name)
    if isinstance(X, (str, os.PathLike)):
        return _path_rows(X, layer, use_rep, name)
    if layer is not None or use_rep is not None:
        argument = f"layer={layer!r}" if use_rep is None else f"use_rep={use_rep!r}"
        raise TypeError(
            f"{argument} needs an AnnData or the path of a .h5ad file or a .zarr store, but {name} "
            f"is a {type(X).__name__}; leave it out."
        )
    return _matrix_rows(X, None, name)


def _matrix_rows(X: Any, feature_names: np.ndarray | None, name: str) -> RowSource:
    """The row source of one matrix, whose kind decides."""
    if type(X) is np.ndarray:  # asked first, since what follows takes longer
        return ArrayRows(check_matrix(X, name=name), feature_names)
    if isinstance(X, RowSource):
        return X
    if _is_a(X, "torch", "Tensor"):
        return _tensor_rows(X, name)
    if _is_a(X, "dask.array", "Array"):
        from lowdim.data.dask_rows import DaskRows

        return DaskRows(X, feature_names, name=name)
    if _is_a(X, "h5py", "Dataset") or _is_a(X, "zarr", "Array"):
        from lowdim.data.backed import BackedArrayRows

        return BackedArrayRows(X, feature_names, name=name)
    # AnnData's backed sparse matrices wrap the group that holds them.
    group = X if _is_group(X) else getattr(X, "group", None)
    if _is_group(group):
        from lowdim.data.backed import BackedSparseRows

        return BackedSparseRows(group, feature_names, name=name)
    matrix = check_matrix(X, name=name)
    if feature_names is None:
        feature_names = _column_names(X, name)
    if isinstance(matrix, np.ndarray):
        return ArrayRows(matrix, feature_names)
    return SparseRows(matrix, feature_names)


def _anndata_rows(adata: Any, layer: str | None, use_rep: str | None, name: str) -> RowSource:
    """The row source of one matrix of an AnnData."""
    if use_rep is not None and use_rep != "X":
        _check_key(use_rep, "use_rep", adata.obsm, "obsm")
        return _matrix_rows(adata.obsm[use_rep], None, f"{name}.obsm[{use_rep!r}]")
    var_names = np.asarray(adata.var_names, dtype=object)
    if layer is not None:
        _check_key(layer, "layer", adata.layers, "layers")
        return _matrix_rows(adata.layers[layer], var_names, f"{name}.layers[{layer!r}]")
    if adata.isbacked and adata.is_view:
        raise ValueError(
            f"{name} is a selection from a backed AnnData, which would be loaded whole; load it "
            "yourself with .to_memory(), or write it with .copy(filename) and pass that."
        )
    if adata.X is None:
        raise ValueError(f"{name}.X is None; pass layer= or use_rep= to name another matrix.")
    return _matrix_rows(adata.X, var_names, f"{name}.X")


def _path_rows(path: Any, layer: str | None, use_rep: str | None, name: str) -> RowSource:
    """The row source of one matrix of a `.h5ad` file or a `.zarr` store, left on disk."""
    from lowdim.data.stores import SUFFIXES, open_matrix

    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"{name}={str(path)!r} is not the path of a .h5ad file or a .zarr store; read other "
            "formats yourself (for example with pandas or anndata) and pass the matrix."
        )
    element, feature_names = open_matrix(path, layer=layer, use_rep=use_rep)
    if element.attrs.get("encoding-type") == "dataframe":
        from anndata.io import read_elem

        element = read_elem(element)
    return _matrix_rows(element, feature_names, name)


def _tensor_rows(tensor: Any, name: str) -> TensorRows:
    """The row source of a torch tensor."""
    if str(tensor.layout) != "torch.strided":
        raise TypeError(
            f"{name} is a sparse torch tensor ({tensor.layout}); pass a scipy.sparse matrix."
        )
    if tensor.dtype.is_complex:
        check_real_dtype(np.dtype(np.complex128), name=name)
    check_shape(tuple(tensor.shape), name=name)
    return TensorRows(tensor)


def _column_names(X: Any, name: str) -> np.ndarray | None:
    """Names of the columns of a DataFrame, if they are strings; the rule of scikit-learn."""
    if not hasattr(X, "columns"):
        return None
    columns = np.asarray(X.columns, dtype=object)
    n_strings = sum(isinstance(column, str) for column in columns)
    if 0 < n_strings < len(columns):
        raise TypeError(
            "Feature names are only supported if all input features have string names, but "
            f"{name} has {n_strings} of {len(columns)}; convert them with "
            f"{name}.columns = {name}.columns.astype(str)."
        )
    return columns if n_strings else None


def _check_key(key: str, argument: str, mapping: Any, where: str) -> None:
    """Raise ValueError that lists the choices unless `key` is one."""
    if key not in mapping:
        raise ValueError(
            f"{argument}={key!r} is not in adata.{where}, which has {sorted(mapping.keys())}."
        )


def _is_group(X: Any) -> bool:
    """Whether `X` is a group of an HDF5 file or of a zarr store."""
    return _is_a(X, "h5py", "Group") or _is_a(X, "zarr", "Group")


def _is_a(X: Any, module: str, class_name: str) -> bool:
    """Whether `X` is an instance of a class of a module that may not even be loaded."""
    cls = getattr(sys.modules.get(module), class_name, None)
    return cls is not None and isinstance(X, cls)
