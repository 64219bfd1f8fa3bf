"""Blocks of standardised rows, and the products that models see them through.

For sparse rows the centring is implicit: a product with the centred matrix is a product with the
stored one plus a rank-one correction, and nothing is ever made dense.

All products are laid out with rows last, ``(w, n)``, because reductions over components then
run along contiguous memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from lowdim._threads import in_threads, row_parts
from lowdim.data import device_sums

#: Rows whose coefficient is below this are skipped: they cannot move a sum by one part in 1e12.
NEGLIGIBLE = 1e-12
#: Products of stored values that are worth a thread.
THREAD_VALUES = 2**20


class Block(Protocol):
    """Some standardised rows, seen through the products that models need."""

    start: int
    n_rows: int
    weights: Tensor | None

    @property
    def n_bytes(self) -> int:
        """Memory that the rows take."""
        ...

    @property
    def squared_norms(self) -> Tensor:
        """Squared length of every row, (n,), float64."""
        ...

    def project(self, directions: Tensor) -> Tensor:
        """``directions @ rows.T``, (w, n)."""
        ...

    def accumulate(self, coefficients: Tensor) -> Tensor:
        """``coefficients @ rows``, (w, D), float64."""
        ...

    def project_squares(self, directions: Tensor) -> Tensor:
        """``directions @ (rows * rows).T``, (w, n)."""
        ...

    def accumulate_squares(self, coefficients: Tensor) -> Tensor:
        """``coefficients @ (rows * rows)``, (w, D), float64."""
        ...

    def second_moments(self, coefficients: Tensor) -> Tensor:
        """``sum_i c_i x_i x_i'`` for every row of coefficients, (w, D, D), float64."""
        ...

    def sketched_moments(self, weights: Tensor, sketches: Tensor) -> Tensor:
        """``sum_i r_ci [1, W_c x_i] x_i'`` for weights r (C, n) and sketches W (C, w, D).

        (C, 1 + w, D), float64; rows with negligible weight are skipped.
        """
        ...

    def dense(self, index: np.ndarray) -> Tensor:
        """A few rows as a dense matrix, (m, D), float64."""
        ...


class Rows(Protocol):
    """All rows, block by block; iterate them once per pass."""

    @property
    def total_weight(self) -> float:
        """Sum of the row weights."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the blocks are."""
        ...

    @property
    def local(self) -> bool:
        """Whether blocks are in this process."""
        ...

    def __iter__(self) -> Iterator[Block]:
        """Blocks in the order of the rows."""
        ...

    def each(self, function: Callable[..., Any], along: np.ndarray | None = None) -> list[Any]:
        """What a function says of every block; see `passes`."""
        ...

    def total(self, function: Callable[..., Any], along: np.ndarray | None = None) -> Any:
        """The sum of what it says; see `passes`."""
        ...


class DenseBlock:
    """Standardised dense rows, (n, D).

    Of rows that were projected onto D directions, `outside` is the squared length of what lies
    off them, (n,).
    """

    def __init__(
        self,
        values: Tensor,
        start: int = 0,
        weights: Tensor | None = None,
        outside: Tensor | None = None,
    ) -> None:
        self.values = values
        self.outside = outside
        self.start = start
        self.n_rows = len(values)
        self.weights = weights

    def __getstate__(self) -> dict[str, object]:
        own = ("values", "start", "weights", "outside", "n_rows", "squared_norms")
        return {name: vars(self)[name] for name in own if name in vars(self)}  # no copies of rows

    @property
    def n_bytes(self) -> int:
        return self.values.nbytes

    @cached_property
    def squared_norms(self) -> Tensor:
        norms: Tensor = torch.linalg.vector_norm(self.values, dim=1, dtype=torch.float64)
        norms.square_()
        return norms if self.outside is None else norms.add_(self.outside)

    @cached_property
    def host_rows(self) -> np.ndarray:
        """The rows on the host, contiguous."""
        return np.ascontiguousarray(self.values.cpu().numpy())

    @cached_property
    def host_columns(self) -> np.ndarray:
        """The rows laid out columns first, (D, n), float64, on the host."""
        return np.ascontiguousarray(self.host_rows.T, dtype=np.float64)

    @cached_property
    def host_weights(self) -> np.ndarray:
        """The rows' weights on the host, (n,); ones where none are given."""
        return np.ones(self.n_rows) if self.weights is None else self.weights.cpu().numpy()

    @cached_property
    def host_outside(self) -> np.ndarray:
        """`outside` on the host, (n,); zeros for rows that are whole."""
        return np.zeros(self.n_rows) if self.outside is None else self.outside.cpu().numpy()

    def project(self, directions: Tensor) -> Tensor:
        # Faster than directions @ values.T for the few directions that models ask for.
        return (self.values @ directions.to(self.values.dtype).T.contiguous()).T.contiguous()

    def accumulate(self, coefficients: Tensor) -> Tensor:
        return self._summed(coefficients, self.values)

    def _summed(self, coefficients: Tensor, values: Tensor) -> Tensor:
        if values.device.type != "cpu":
            return device_sums.products(coefficients, values)
        return (coefficients.to(values.dtype) @ values).double()

    @cached_property
    def squares(self) -> Tensor:
        """The rows' entries squared."""
        return self.values.square()

    def project_squares(self, directions: Tensor) -> Tensor:
        return (self.squares @ directions.to(self.values.dtype).T.contiguous()).T.contiguous()

    def accumulate_squares(self, coefficients: Tensor) -> Tensor:
        return self._summed(coefficients, self.squares)

    def second_moments(self, coefficients: Tensor) -> Tensor:
        if self.values.device.type == "cpu":
            from lowdim.data.dense import moments_of

            weights = np.ascontiguousarray(coefficients.double().numpy())
            return torch.from_numpy(moments_of(self.host_rows, weights)[1])
        return device_sums.second_moments(self.values, coefficients)

    def sketched_moments(self, weights: Tensor, sketches: Tensor) -> Tensor:
        if self.values.device.type == "cpu":
            return self._host_moments(weights, sketches)
        return device_sums.sketched_moments(self.values, weights, sketches)

    def _host_moments(self, weights: Tensor, sketches: Tensor) -> Tensor:
        from lowdim.data.dense import chunk_rows, moments_along

        x, r = self.host_rows, np.ascontiguousarray(weights.numpy())
        directions = np.ascontiguousarray(sketches.numpy().swapaxes(1, 2), dtype=x.dtype)
        chunk = chunk_rows(x.shape[1], len(directions))
        parts = in_threads(
            lambda part: moments_along(x[part], r[:, part], directions, chunk, NEGLIGIBLE),
            row_parts(self.n_rows, self.n_rows),
        )
        return torch.from_numpy(sum(parts))

    def dense(self, index: np.ndarray) -> Tensor:
        return self.values[torch.from_numpy(index).to(self.values.device)].double()


class SparseBlock:
    """Stored CSR rows seen as ``(rows - mean) / scale``.

    Where blocks of the same rows are made again in every pass, `norms` keeps their squared lengths
    by the first row.
    """

    def __init__(
        self,
        rows: sp.csr_matrix,
        mean: np.ndarray,
        scale: float,
        start: int = 0,
        weights: Tensor | None = None,
        norms: dict[int, Tensor] | None = None,
    ) -> None:
        self.rows = rows
        self.mean = mean
        self.scale = scale
        self.start = start
        self.n_rows = rows.shape[0]
        self.weights = weights
        self._norms = {} if norms is None else norms

    def stored(self, part: slice = slice(None)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(indptr, indices, data) of some of the rows, whose places are among those of all."""
        indptr = self.rows.indptr
        if part.stop is not None:
            indptr = indptr[part.start : part.stop + 1]
        return indptr, self.rows.indices, self.rows.data

    @property
    def n_bytes(self) -> int:
        return int(sum(part.nbytes for part in self.stored()))

    @cached_property
    def squared_norms(self) -> Tensor:
        from lowdim.data.csr import squared_norms

        if self.start in self._norms:
            return self._norms[self.start]
        norms = np.empty(self.n_rows)
        in_threads(
            lambda part: squared_norms(*self.stored(part), self.mean, norms[part]),
            row_parts(self.n_rows, self.rows.nnz // THREAD_VALUES),
        )
        self._norms[self.start] = torch.from_numpy(norms).div_(self.scale**2)
        return self._norms[self.start]

    def project(self, directions: Tensor) -> Tensor:
        from lowdim.data.csr import project
        from lowdim.data.lanes import table

        scaled = directions.double().numpy().T / self.scale
        shift = (self.mean @ scaled).astype(self.rows.dtype)
        columns = table(scaled, self.rows.dtype)
        out = np.empty((self.n_rows, columns.shape[1]), dtype=self.rows.dtype)
        in_threads(
            lambda part: project(*self.stored(part), columns, out[part]),
            row_parts(self.n_rows, self.rows.nnz * columns.shape[1] // THREAD_VALUES),
        )
        return torch.from_numpy(np.subtract(out[:, : len(shift)].T, shift[:, None], order="C"))

    def accumulate(self, coefficients: Tensor) -> Tensor:
        from lowdim.data.csr import accumulate

        c = coefficients.double().numpy()
        out = np.zeros((self.rows.shape[1], len(c)))
        accumulate(*self.stored(), np.ascontiguousarray(c.T), out)
        return torch.from_numpy((out.T - c.sum(1)[:, None] * self.mean) / self.scale)

    @cached_property
    def _squared(self) -> SparseBlock:
        """What is stored, squared, in the data's units and not centred."""
        rows = sp.csr_matrix(
            (np.square(self.rows.data), self.rows.indices, self.rows.indptr), self.rows.shape
        )
        return SparseBlock(rows, np.zeros_like(self.mean), 1.0)

    def project_squares(self, directions: Tensor) -> Tensor:
        # (x - m)^2 = x^2 - 2 m (x - m) - m^2, and x - m is what `project` sees.
        p = directions.double() / self.scale**2
        mean = torch.from_numpy(self.mean)
        stored = self._squared.project(p).double()
        along = self.project(p * mean).double() * self.scale
        return stored - 2 * along - (p @ mean.square())[:, None]

    def accumulate_squares(self, coefficients: Tensor) -> Tensor:
        mean = torch.from_numpy(self.mean)
        stored = self._squared.accumulate(coefficients)
        along = self.accumulate(coefficients) * self.scale * mean
        total = coefficients.double().sum(1)[:, None] * mean.square()
        return (stored - 2 * along - total) / self.scale**2

    def sketched_moments(self, weights: Tensor, sketches: Tensor) -> Tensor:
        from lowdim.data.csr import moments_along
        from lowdim.data.lanes import table

        n_components, width, d = sketches.shape
        out = np.empty((n_components, 1 + width, d))

        def of_component(c: int) -> None:
            weight = weights[c].numpy()
            which = np.flatnonzero(~(weight <= NEGLIGIBLE))  # nan counts
            directions = table(sketches[c].numpy().T / self.scale, self.rows.dtype)
            shift = np.zeros(directions.shape[1], self.rows.dtype)
            shift[:width] = sketches[c].numpy() @ self.mean / self.scale
            given = which, weight[which], directions, shift, self.mean, self.scale
            moments_along(*self.stored(), *given, out[c])

        in_threads(of_component, range(n_components))
        return torch.from_numpy(out)

    @cached_property
    def host_weights(self) -> np.ndarray:
        """The rows' weights, (n,); ones where none are given."""
        return np.ones(self.n_rows) if self.weights is None else self.weights.numpy()

    def second_moments(self, coefficients: Tensor) -> Tensor:
        out = np.empty((len(coefficients), self.rows.shape[1], self.rows.shape[1]))
        for c, row in enumerate(coefficients.double().numpy()):
            weighted = sp.diags_array(row) @ self.rows
            sums = np.asarray(weighted.sum(0)).ravel()
            cross = np.outer(sums, self.mean)
            raw = (self.rows.T @ weighted).toarray()
            out[c] = raw - cross - cross.T + row.sum() * np.outer(self.mean, self.mean)
        return torch.from_numpy(out / self.scale**2)

    def dense(self, index: np.ndarray) -> Tensor:
        return torch.from_numpy((self.rows[index].toarray() - self.mean) / self.scale)


def images(directions: Tensor, block: Block) -> Tensor:
    """The directions (w, D) times the block's weighted second moments, (w, D), float64."""
    rows = block.project(directions).double()
    return block.accumulate(rows if block.weights is None else rows * block.weights)
