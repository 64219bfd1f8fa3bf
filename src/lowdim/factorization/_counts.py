"""Counts, dense or as CSR, and the sums over them that likelihoods ask for.

Where a count is zero, it adds nothing to ``sum y log rate`` and no factor has a share of it. CSR
rows are taken there only; else they are made dense a chunk at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from lowdim._device import to_host
from lowdim._threads import in_threads, row_parts

#: Values of counts that are worked on at once.
CHUNK_VALUES = 2**18
#: The same on an accelerator; more rows would lose digits in sums of single precision.
DEVICE_VALUES, DEVICE_ROWS = 2**24, 2**14
#: Rates are not smaller.
TINY = 1e-30
#: Where less than this share of so many counts is not zero, sums over these alone cost least.
STORED_SHARE, STORED_FROM = 0.25, 2_000_000
#: Stored counts that a thread is worth.
THREAD_COUNTS = 100_000


class Counts:
    """Counts, (N, J), a chunk of dense rows after the other.

    Rates are ``factors @ loadings.T`` for factors (S, N, L), of which sums are the mean over S, and
    loadings (J, L).

    Attributes
    ----------
    shape : (int, int)
    dtype : torch.dtype
    device : torch.device
    """

    shape: tuple[int, int]
    dtype: torch.dtype
    device: torch.device

    def dense(self, rows: slice | Tensor) -> Tensor:
        """Some rows, by a slice or by their numbers."""
        raise NotImplementedError

    def chunks(self) -> Iterator[tuple[slice, Tensor]]:
        """Rows, and their counts."""
        n, columns = self.shape
        step = max(1, CHUNK_VALUES // columns)
        if self.device.type != "cpu":  # where every call has its price
            step = max(step, min(DEVICE_VALUES // columns, DEVICE_ROWS))
        for start in range(0, n, step):
            rows = slice(start, min(start + step, n))
            yield rows, self.dense(rows)

    @property
    def mostly_zero(self) -> bool:
        """Whether sums over the counts that are not zero cost less than those over all.

        The same for either form, and False on accelerators, where all counts are taken.
        """
        raise NotImplementedError

    def log_factorials(self) -> Tensor:
        """Sums of log y! over the rows, (J,)."""
        return torch.stack([torch.lgamma(y + 1).sum(0) for _, y in self.chunks()]).double().sum(0)

    def products(self, matrix: Tensor) -> Tensor:
        """``Y.T @ matrix``, (J, k)."""
        total = matrix.new_zeros((self.shape[1], matrix.shape[1]), dtype=torch.float64)
        for rows, y in self.chunks():
            total += y.T @ matrix[rows]
        return total

    def weighted_logs(self, sizes: Tensor, factors: Tensor, loadings: Tensor) -> Tensor:
        """``sum_i y_ij log(s_i rate_ij)``, (J,)."""
        total = torch.zeros_like(loadings[:, 0], dtype=torch.float64)
        for rows, y in self.chunks():
            for draw in factors:
                log_rate = (sizes[rows, None] * (draw[rows] @ loadings.T) + TINY).log()
                total += (y * log_rate).sum(0) / len(factors)
        return total

    def loading_shares(self, factors: Tensor, loadings: Tensor) -> Tensor:
        """``sum_i f_il y_ij / rate_ij``, (J, L)."""
        total = torch.zeros_like(loadings, dtype=torch.float64)
        for rows, y in self.chunks():
            for draw in factors:
                ratio = y / (draw[rows] @ loadings.T + TINY)
                total += ratio.T @ draw[rows] / len(factors)
        return total

    def factor_shares(self, factors: Tensor, loadings: Tensor) -> Tensor:
        """``f_il sum_j w_jl y_ij / rate_ij``, the counts that fall to every factor, (S, L, N)."""
        out = torch.empty_like(factors.mT, dtype=torch.float64)
        for rows, y in self.chunks():
            for s, draw in enumerate(factors):
                ratio = y / (draw[rows] @ loadings.T + TINY)
                out[s, :, rows] = (draw[rows] * (ratio @ loadings)).T
        return out


@dataclass(frozen=True)
class DenseCounts(Counts):
    """Counts of which all are kept, (N, J)."""

    values: Tensor

    @property
    def shape(self) -> tuple[int, int]:  # type: ignore[override]
        n, columns = self.values.shape
        return n, columns

    @property
    def dtype(self) -> torch.dtype:  # type: ignore[override]
        return self.values.dtype

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return self.values.device

    def dense(self, rows: slice | Tensor) -> Tensor:
        return self.values[rows]

    @property
    def mostly_zero(self) -> bool:
        return _few(self.values, self.shape)


@dataclass(frozen=True)
class StoredCounts(Counts):
    """Counts of which those are kept that are not zero: canonical CSR.

    Attributes
    ----------
    indptr : (N + 1,)
    indices, data : (n_stored,)
    n_columns : int
    """

    indptr: Tensor
    indices: Tensor
    data: Tensor
    n_columns: int

    @classmethod
    def of(cls, matrix: sp.csr_array, like: Tensor | None = None) -> StoredCounts:
        """Of a CSR matrix, on the device and in the precision of `like`, by default its own."""
        indptr, indices, data = (
            torch.from_numpy(np.require(part, requirements="W"))
            for part in (matrix.indptr, matrix.indices, matrix.data)
        )
        if like is not None:
            data, (indptr, indices) = data.to(like), (p.to(like.device) for p in (indptr, indices))
        return cls(indptr, indices, data, matrix.shape[1])

    @property
    def shape(self) -> tuple[int, int]:  # type: ignore[override]
        return len(self.indptr) - 1, self.n_columns

    @property
    def dtype(self) -> torch.dtype:  # type: ignore[override]
        return self.data.dtype

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return self.data.device

    def dense(self, rows: slice | Tensor) -> Tensor:
        first, last = self.indptr[:-1][rows].long(), self.indptr[1:][rows].long()
        n = last - first
        out = self.data.new_zeros((len(n), self.n_columns))
        before = n.cumsum(0) - n
        row = torch.repeat_interleave(n, output_size=self._n_stored(rows))
        position = torch.arange(len(row), device=row.device) + (first - before)[row]
        out[row, self.indices[position].long()] = self.data[position]
        return out

    def _n_stored(self, rows: slice | Tensor) -> int:
        """How many counts of some rows are stored, known to the host without a wait."""
        return int(self._lengths[rows if isinstance(rows, slice) else rows.cpu().numpy()].sum())

    @cached_property
    def _lengths(self) -> np.ndarray:
        (indptr,) = to_host(self.indptr)
        lengths: np.ndarray = np.diff(indptr)
        return lengths

    @property
    def mostly_zero(self) -> bool:
        return _few(self.data, self.shape)

    def products(self, matrix: Tensor) -> Tensor:
        if not self._on_host:
            return super().products(matrix)
        return torch.from_numpy(self.matrix().T @ matrix.double().numpy())

    def matrix(self) -> sp.csr_array:
        """On the host, its numbers shared where they are there already, float64 or float32."""
        parts = (self.data, self.indices, self.indptr)
        return sp.csr_array(tuple(part.cpu().numpy() for part in parts), shape=self.shape)

    def log_factorials(self) -> Tensor:
        # On the host: elsewhere the order of the sums would change from run to run.
        logs = torch.lgamma(self.data.cpu().double() + 1)
        sums = torch.bincount(self.indices.cpu(), weights=logs, minlength=self.n_columns)
        return sums.to(self.data.device, torch.float64)  # without counts, they are integers

    def weighted_logs(self, sizes: Tensor, factors: Tensor, loadings: Tensor) -> Tensor:
        if not self._on_host:
            return super().weighted_logs(sizes, factors, loadings)
        from lowdim.factorization._sampled import weighted_logs as kernel

        sums = [self._summed(kernel, loadings.shape[:1], sizes, f, loadings) for f in factors]
        return torch.stack(sums).mean(0)

    def loading_shares(self, factors: Tensor, loadings: Tensor) -> Tensor:
        if not self._on_host:
            return super().loading_shares(factors, loadings)
        from lowdim.factorization._sampled import loading_shares as kernel

        sums = [self._summed(kernel, loadings.shape, f, loadings) for f in factors]
        return torch.stack(sums).mean(0)

    def factor_shares(self, factors: Tensor, loadings: Tensor) -> Tensor:
        if not self._on_host:
            return super().factor_shares(factors, loadings)
        from lowdim.factorization._sampled import factor_shares as kernel

        w = loadings.contiguous().numpy()
        out = torch.empty_like(factors, dtype=torch.float64, memory_format=torch.contiguous_format)
        for draw, own in zip(factors.contiguous().numpy(), out.numpy(), strict=True):

            def write(rows: slice, draw: np.ndarray = draw, own: np.ndarray = own) -> None:
                kernel(self._csr(rows), draw[rows], w, own[rows])

            in_threads(write, self._parts())
        return out.mT

    @property
    def _on_host(self) -> bool:
        return self.data.device.type == "cpu"

    def _csr(self, rows: slice) -> tuple[np.ndarray, ...]:
        indptr = self.indptr[rows.start : rows.stop + 1]
        return indptr.numpy(), self.indices.numpy(), self.data.numpy()

    def _parts(self) -> list[slice]:
        return row_parts(self.shape[0], len(self.data) // THREAD_COUNTS)

    def _summed(
        self, kernel: Callable[..., None], shape: tuple[int, ...], *arrays: Tensor
    ) -> Tensor:
        """What a kernel adds up over the rows; all arrays but the last, the loadings, have rows."""
        *by_row, w = (array.contiguous().numpy() for array in arrays)

        def added(rows: slice) -> np.ndarray:
            out = np.zeros(shape)
            kernel(self._csr(rows), *(array[rows] for array in by_row), w, out)
            return out

        return torch.from_numpy(sum(in_threads(added, self._parts())))


def _few(values: Tensor, shape: tuple[int, int]) -> bool:
    n_values = shape[0] * shape[1]
    if values.device.type != "cpu" or n_values < STORED_FROM:
        return False
    return int(np.count_nonzero(values.numpy())) < STORED_SHARE * n_values
