"""Row sources over HDF5 files (backed `.h5ad`): each call reads the rows asked for, no others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from lowdim._validation import check_real_dtype, check_shape
from lowdim.data.memory import canonical_csr, check_row_index, check_span, delivered_dtype

if TYPE_CHECKING:
    import h5py
    from scipy.sparse import csr_matrix

_GAP_BYTES = 2**18
"""`take` reads through gaps up to this size: cheaper than another seek."""

_SPAN_BYTES = 2**24
"""`take` holds at most about this much of the file at a time beside its result."""


class BackedArrayRows:
    """Rows of a dense HDF5 dataset, read from the file on every call.

    Parameters
    ----------
    dataset
        A real dataset, (N, D). The file stays open as long as this object lives.
    feature_names
        Names of the columns, (D,).
    name
        What errors call it.

    Raises
    ------
    TypeError, ValueError
        The dataset is not a nonempty real matrix.
    """

    is_sparse: bool = False
    in_memory: bool = False

    def __init__(
        self, dataset: h5py.Dataset, feature_names: np.ndarray | None = None, *, name: str = "X"
    ) -> None:
        check_shape(dataset.shape, name=name)
        check_real_dtype(dataset.dtype, name=name)
        self._dataset = dataset
        self._file = dataset.file  # keeps it open
        self.n_rows, self.n_cols = dataset.shape
        self.dtype = delivered_dtype(dataset.dtype)
        self.feature_names = feature_names

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Rows `start` to `stop` (exclusive), C-contiguous."""
        check_span(start, stop, self.n_rows)
        return np.ascontiguousarray(self._dataset[start:stop], dtype=self.dtype)

    def take(self, index: np.ndarray) -> np.ndarray:
        """The rows in `index`, which ascends without repeats."""
        index = check_row_index(index, self.n_rows)
        taken = np.empty((len(index), self.n_cols), dtype=self.dtype)
        done = 0
        for span in _spans(index, self.n_cols * self.dtype.itemsize):
            block = self.rows(int(span[0]), int(span[-1]) + 1)
            taken[done : done + len(span)] = block[span - span[0]]
            done += len(span)
        return taken


class BackedSparseRows:
    """Rows of a CSR matrix in an HDF5 group, read from the file on every call.

    Only the row pointers, N + 1 integers, are held in memory.

    Parameters
    ----------
    group
        A group with `data`, `indices`, `indptr` and the attributes AnnData gives it, (N, D). The
        file stays open as long as this object lives.
    feature_names
        Names of the columns, (D,).
    name
        What errors call it.

    Raises
    ------
    TypeError, ValueError
        The group is not a nonempty real CSR matrix. CSC has its rows scattered over the file.
    """

    is_sparse: bool = True
    in_memory: bool = False

    def __init__(
        self, group: h5py.Group, feature_names: np.ndarray | None = None, *, name: str = "X"
    ) -> None:
        kind, shape = _sparse_header(group)
        if kind.startswith("csc"):
            raise ValueError(
                f"{name} is stored by columns (CSC), so reading rows would read the whole file "
                "each time. Store it by rows: load it with anndata.read_h5ad(path), convert with "
                ".tocsr(), and write it again; or pass the loaded AnnData if it fits in memory."
            )
        if not kind.startswith("csr"):
            raise TypeError(f"{name} is stored as {kind or 'a plain group'}, not as a matrix.")
        check_shape(shape, name=name)
        check_real_dtype(group["data"].dtype, name=name)
        self._data, self._indices = group["data"], group["indices"]
        self._indptr = group["indptr"][:].astype(np.int64, copy=False)
        self._file = group.file  # keeps it open
        self.n_rows, self.n_cols = shape
        self.dtype = delivered_dtype(self._data.dtype)
        self.feature_names = feature_names

    def rows(self, start: int, stop: int) -> csr_matrix:
        """Rows `start` to `stop` (exclusive)."""
        from scipy.sparse import csr_matrix

        check_span(start, stop, self.n_rows)
        first, last = int(self._indptr[start]), int(self._indptr[stop])
        data = self._data[first:last].astype(self.dtype, copy=False)
        indptr = self._indptr[start : stop + 1] - first
        block = csr_matrix(
            (data, self._indices[first:last], indptr), shape=(stop - start, self.n_cols)
        )
        block.sum_duplicates()
        return block

    def take(self, index: np.ndarray) -> csr_matrix:
        """The rows in `index`, which ascends without repeats."""
        from scipy.sparse import vstack

        index = check_row_index(index, self.n_rows)
        row_bytes = 1 + int(self._indptr[-1]) * (self.dtype.itemsize + 4) // self.n_rows
        parts = [
            self.rows(int(span[0]), int(span[-1]) + 1)[span - span[0]]
            for span in _spans(index, row_bytes)
        ]
        taken = vstack(parts, format="csr") if parts else self.rows(0, 0)
        return canonical_csr(taken.data, taken.indices, taken.indptr, self.n_cols)


def _sparse_header(group: h5py.Group) -> tuple[str, tuple[int, ...]]:
    """Format and shape of a sparse matrix; AnnData 0.6 and before had other attributes."""
    attributes = group.attrs
    kind = attributes.get("encoding-type", attributes.get("h5sparse_format", ""))
    shape = attributes.get("shape", attributes.get("h5sparse_shape", ()))
    return str(kind), tuple(int(n) for n in shape)


def _spans(index: np.ndarray, row_bytes: int) -> Iterator[np.ndarray]:
    """Cut an ascending index into runs worth one read each: small gaps, bounded extent."""
    max_gap = max(1, _GAP_BYTES // row_bytes)
    max_extent = max(1, _SPAN_BYTES // row_bytes)
    for run in np.split(index, np.flatnonzero(np.diff(index) > max_gap) + 1):
        while len(run):
            n = int(np.searchsorted(run, run[0] + max_extent))
            yield run[:n]
            run = run[n:]


def open_h5ad(path: Any, *, layer: str | None, use_rep: str | None) -> tuple[Any, Any]:
    """Open one matrix of a `.h5ad` file without reading it.

    Unlike AnnData's own backed mode, layers and `obsm` stay on disk as well.

    Parameters
    ----------
    path
        The file.
    layer, use_rep
        A key of its `layers` or its `obsm`; neither: `X`.

    Returns
    -------
    element
        The dataset or the group.
    feature_names
        Names of the columns, (D,), where the columns are genes; otherwise None.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is not a `.h5ad` file, or has no such key.
    """
    import h5py

    try:
        file = h5py.File(path, mode="r")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"There is no file {str(path)!r}; check the path.") from error
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be opened as a .h5ad file: {error}.") from error
    if use_rep is not None and use_rep != "X":
        return _element(file, f"obsm/{use_rep}", "use_rep", use_rep), None
    key, argument = ("X", "X") if layer is None else (f"layers/{layer}", "layer")
    return _element(file, key, argument, layer or "X"), _var_names(file)


def _element(file: h5py.File, key: str, argument: str, value: str) -> Any:
    """One element of the file; an error that lists the choices if it is not there."""
    if key in file:
        return file[key]
    parent = key.rpartition("/")[0]
    choices = sorted(file[parent]) if parent in file else []
    listed = f"its {parent} are {choices}" if parent else "it has no X; pass layer= or use_rep="
    raise ValueError(f"{argument}={value!r} is not in {file.filename!r}; {listed}.")


def _var_names(file: h5py.File) -> np.ndarray | None:
    """Names of the genes; None for files of an age that kept them another way."""
    from anndata.io import read_elem

    var = file.get("var")
    index = None if var is None else var.attrs.get("_index")
    if index is None:
        return None
    return np.asarray(read_elem(var[index]), dtype=object)
