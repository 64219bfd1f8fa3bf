"""Row sources over data in memory: NumPy arrays, scipy.sparse CSR, torch tensors.

Data stay as they came: another dtype or memory order is converted block by block, never whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from scipy.sparse import csr_array, csr_matrix


def delivered_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype in which rows stored as `dtype` are delivered: float32 stays, all else float64."""
    single = dtype.kind == "f" and dtype.itemsize == 4
    return np.dtype(np.float32 if single else np.float64)


class ArrayRows:
    """Rows of a NumPy array; views of it where dtype and memory order allow.

    Parameters
    ----------
    X
        A real array, (N, D).
    feature_names
        Names of the columns, (D,).
    """

    is_sparse: bool = False
    in_memory: bool = True

    def __init__(self, X: np.ndarray, feature_names: np.ndarray | None = None) -> None:
        self._X = X
        self.n_rows, self.n_cols = X.shape
        self.dtype = delivered_dtype(X.dtype)
        self.feature_names = feature_names

    def __sizeof__(self) -> int:
        return int(self._X.nbytes)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Rows `start` to `stop` (exclusive), C-contiguous."""
        check_span(start, stop, self.n_rows)
        return np.ascontiguousarray(self._X[start:stop], dtype=self.dtype)

    def take(self, index: np.ndarray) -> np.ndarray:
        """A copy of the rows in `index`, which ascends without repeats."""
        return np.ascontiguousarray(self._X[check_row_index(index, self.n_rows)], dtype=self.dtype)


class SparseRows:
    """Rows of a CSR matrix, canonical; they share its memory where the dtype allows.

    Parameters
    ----------
    X
        A real CSR matrix or array, (N, D). It is left as it is: if it has duplicates or unsorted
        columns, a canonical copy serves instead.
    feature_names
        Names of the columns, (D,).
    """

    is_sparse: bool = True
    in_memory: bool = True

    def __init__(self, X: csr_matrix | csr_array, feature_names: np.ndarray | None = None) -> None:
        from scipy.sparse import csr_matrix

        matrix = csr_matrix(X)
        if not matrix.has_canonical_format:
            matrix = matrix.copy()
            matrix.sum_duplicates()
        self._X = matrix
        self.n_rows, self.n_cols = matrix.shape
        self.dtype = delivered_dtype(matrix.dtype)
        self.feature_names = feature_names

    def __sizeof__(self) -> int:
        return int(self._X.data.nbytes + self._X.indices.nbytes + self._X.indptr.nbytes)

    def rows(self, start: int, stop: int) -> csr_matrix:
        """Rows `start` to `stop` (exclusive)."""
        check_span(start, stop, self.n_rows)
        X = self._X
        first, last = X.indptr[start], X.indptr[stop]
        return canonical_csr(
            X.data[first:last].astype(self.dtype, copy=False),
            X.indices[first:last],
            X.indptr[start : stop + 1] - first,
            self.n_cols,
        )

    def take(self, index: np.ndarray) -> csr_matrix:
        """A copy of the rows in `index`, which ascends without repeats."""
        taken = self._X[check_row_index(index, self.n_rows)].astype(self.dtype, copy=False)
        return canonical_csr(taken.data, taken.indices, taken.indptr, self.n_cols)


class TensorRows:
    """Rows of a dense torch tensor, as NumPy arrays; from another device, block by block.

    Parameters
    ----------
    tensor
        A real strided tensor, (N, D), on any device.
    """

    is_sparse: bool = False
    in_memory: bool = True
    feature_names: np.ndarray | None = None

    def __init__(self, tensor: torch.Tensor) -> None:
        import torch

        self._tensor = tensor.detach()
        self.n_rows, self.n_cols = tensor.shape
        single = tensor.dtype == torch.float32
        self._torch_dtype = torch.float32 if single else torch.float64
        self.dtype = np.dtype(np.float32 if single else np.float64)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Rows `start` to `stop` (exclusive), C-contiguous."""
        check_span(start, stop, self.n_rows)
        return self._to_numpy(self._tensor[start:stop])

    def take(self, index: np.ndarray) -> np.ndarray:
        """A copy of the rows in `index`, which ascends without repeats."""
        import torch

        checked = torch.from_numpy(check_row_index(index, self.n_rows))
        return self._to_numpy(self._tensor[checked.to(self._tensor.device)])

    def _to_numpy(self, block: torch.Tensor) -> np.ndarray:
        # To the CPU first: not every device has float64.
        return block.cpu().to(self._torch_dtype).contiguous().numpy()


def canonical_csr(
    data: np.ndarray, indices: np.ndarray, indptr: np.ndarray, n_cols: int
) -> csr_matrix:
    """Assemble CSR from parts that are known to be canonical, without copying or checking them."""
    from scipy.sparse import csr_matrix

    block = csr_matrix((data, indices, indptr), shape=(len(indptr) - 1, n_cols), copy=False)
    block.has_sorted_indices = True
    block.has_canonical_format = True
    return block


def check_span(start: int, stop: int, n_rows: int) -> None:
    """Raise IndexError unless 0 <= start <= stop <= n_rows (slices would clip in silence)."""
    if not 0 <= start <= stop <= n_rows:
        raise IndexError(
            f"rows({start}, {stop}) is not a range of the {n_rows} rows; "
            "use 0 <= start <= stop <= n_rows."
        )


def check_row_index(index: Any, n_rows: int) -> np.ndarray:
    """Return `index` as a 1-D integer array, checked to be ascending, unique and in range.

    Raises
    ------
    TypeError
        It does not hold integers (a mask needs np.flatnonzero).
    ValueError
        It is not 1-D, or not ascending and unique (np.unique makes it so).
    IndexError
        It points outside the rows.
    """
    index = np.asarray(index)
    if index.ndim != 1:
        raise ValueError(f"index has shape {index.shape}; pass a 1-D array of row numbers.")
    if index.size == 0:
        return index.astype(np.intp)
    if index.dtype.kind not in "iu":
        raise TypeError(
            f"index has dtype {index.dtype}; pass row numbers (for a mask, np.flatnonzero(mask))."
        )
    if not (index[1:] > index[:-1]).all():
        raise ValueError("index must be ascending without repeats; pass np.unique(index).")
    if index[0] < 0 or index[-1] >= n_rows:
        raise IndexError(
            f"index runs from {index[0]} to {index[-1]}, but the rows are 0 to {n_rows - 1}."
        )
    return index.astype(np.intp, copy=False)
