"""Products of a row's stored values with many columns at once, written in LLVM's own terms.

A loop over stored values around one over columns compiles to code that fetches its sums and puts
them back for every few values, since they might lie in the table that it reads. Here sums stay in
registers: a row of the table is some vectors of 64 bytes, a cache line each, which processors with
shorter registers take in pieces. Import on first use only: numba is slow to load.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from lowdim._compile import compiled_fast

#: Bytes of a vector: those of a cache line.
LINE = 64
#: Vectors that are summed side by side: with what else there is they fit the registers of most.
SIDE_BY_SIDE = 4

#: What rows store is asked for so many rows before it is needed.
AHEAD = 4


def table(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Columns (D, w) as the loops here take them: (D, W), W the next multiple of a vector's lanes.

    Every row begins at a cache line; otherwise each vector would lie across two.
    """
    laid = blank_table(len(values), values.shape[1], dtype)
    laid[:, : values.shape[1]] = values
    return laid


def blank_table(n_rows: int, width: int, dtype: np.dtype) -> np.ndarray:
    """Zeros, laid out in the same way."""
    itemsize = np.dtype(dtype).itemsize
    whole = width + -width % (LINE // itemsize)
    room = np.zeros(n_rows * whole * itemsize + LINE, np.uint8)
    first = -room.ctypes.data % LINE
    return room[first : first + n_rows * whole * itemsize].view(dtype).reshape(n_rows, whole)


@compiled_fast
def zeros(n_rows, width, like):
    """Zeros of the type of another array, (n_rows, width), from the beginning of a cache line."""
    room = np.zeros(n_rows * width + LINE // like.itemsize, like.dtype)
    first = (-room.ctypes.data % LINE) // like.itemsize
    return room[first : first + n_rows * width].reshape(n_rows, width)


class _StoredRow:
    """Code for some of the values that a row stores, and for one column after them of a table.

    Arguments of the functions are its indices, its data, the first and the last position, the
    table, the first column that is meant, and a vector as long as the table's rows.
    """

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        def array(at: int) -> Any:
            return context.make_array(signature.args[at])(context, builder, arguments[at])

        self.builder, self.long = builder, ir.IntType(64)
        self.indices, self.data, self.vector = array(0).data, array(1).data, array(6).data
        self.first, self.last, self.column = arguments[2], arguments[3], arguments[5]
        self.table, self.width = array(4).data, builder.extract_value(array(4).shape, 1)
        number = signature.args[1].dtype
        self.lanes = 8 * LINE // number.bitwidth
        self.kind = ir.VectorType(context.get_data_type(number), self.lanes)

    def value(self, position: Any) -> Any:
        """A stored value."""
        return self.builder.load(self.builder.gep(self.data, [position]))

    def index(self, position: Any) -> Any:
        """The column of a stored value."""
        index = self.builder.load(self.builder.gep(self.indices, [position]))
        return self.builder.zext(index, self.long) if index.type.width < 64 else index

    def start(self, index: Any) -> Any:
        """Where in the table the vectors of a stored value's column begin."""
        return self.builder.add(self.builder.mul(index, self.width), self.column)

    def spread(self, value: Any) -> Any:
        """A number in all lanes."""
        short, nothing = ir.IntType(32), ir.Constant(self.kind, ir.Undefined)
        one = self.builder.insert_element(nothing, value, ir.Constant(short, 0))
        lanes = ir.Constant(ir.VectorType(short, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, nothing, lanes)

    def load(self, array: Any, start: Any, number: int = 0) -> Any:
        """The vector at a place of an array, or one of those after it."""
        vector = self.builder.load(self._pointer(array, start, number))
        vector.align = LINE // self.lanes
        return vector

    def store(self, vector: Any, array: Any, start: Any, number: int = 0) -> None:
        stored = self.builder.store(vector, self._pointer(array, start, number))
        stored.align = LINE // self.lanes

    def _pointer(self, array: Any, start: Any, number: int) -> Any:
        place = self.builder.add(start, ir.Constant(self.long, number * self.lanes))
        return self.builder.bitcast(self.builder.gep(array, [place]), self.kind.as_pointer())

    def plus(self, total: Any, value: Any, other: Any) -> Any:
        """Total plus value times other."""
        product = self.builder.fmul(value, other, flags=("contract",))
        return self.builder.fadd(total, product, flags=("contract",))

    @contextmanager
    def positions(self, first: Any, step: int) -> Iterator[list[Any]]:
        """A loop over positions, so many at a time; what is left at the end is not gone through."""
        count = self.builder.sub(self.last, first)
        with cgutils.for_range(self.builder, self.builder.sdiv(count, self.long(step))) as loop:
            at = self.builder.add(first, self.builder.mul(loop.index, self.long(step)))
            yield [self.builder.add(at, self.long(j)) for j in range(step)]


def _products(n_vectors: int, n_values: int) -> Any:
    """Make `vector[c : c + C] = sum_p data[p] table[indices[p], c : c + C]`, C of some vectors.

    As many values have sums of their own, lest each addition waits for the last one.
    """

    @intrinsic
    def products(typing, indices, data, first, last, table, column, vector):
        where = (types.intp, types.intp, table, types.intp)
        signature = types.void(indices, data, *where, vector)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            row = _StoredRow(context, builder, signature, arguments)
            nothing = ir.Constant(row.kind, [0.0] * row.lanes)
            sums = [
                [cgutils.alloca_once_value(builder, nothing) for _ in range(n_vectors)]
                for _ in range(n_values)
            ]

            def add(position: Any, sums: list[Any]) -> None:
                value, start = row.spread(row.value(position)), row.start(row.index(position))
                for v, total in enumerate(sums):
                    vector = row.load(row.table, start, v)
                    builder.store(row.plus(builder.load(total), value, vector), total)

            with row.positions(row.first, n_values) as positions:
                for position, own in zip(positions, sums, strict=True):
                    add(position, own)
            if n_values > 1:
                left = builder.srem(builder.sub(row.last, row.first), row.long(n_values))
                with row.positions(builder.sub(row.last, left), 1) as (position,):
                    add(position, sums[0])
            for v in range(n_vectors):
                total = builder.load(sums[0][v])
                for other in sums[1:]:
                    total = builder.fadd(total, builder.load(other[v]))
                row.store(total, row.vector, row.column, v)
            return context.get_dummy_value()

        return signature, generate

    return products


def _add_multiples(row: _StoredRow, sums: Any = None, share: Any = None) -> None:
    """Generate `table[indices[p], c : c + C] += data[p] vector[c : c + C]`, C a vector's lanes.

    And, where there are sums, `sums[indices[p]] += data[p] share` on the way.
    """
    builder, factor = row.builder, row.load(row.vector, row.column)
    with row.positions(row.first, 1) as (position,):
        value, index = row.value(position), row.index(position)
        start = row.start(index)
        changed = row.plus(row.load(row.table, start), row.spread(value), factor)
        row.store(changed, row.table, start)
        if sums is not None:
            place = builder.gep(sums, [index])
            builder.store(row.plus(builder.load(place), value, share), place)


@intrinsic
def _multiples_alone(typing, indices, data, first, last, table, column, vector):
    """Add a row's multiples of a vector."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _add_multiples(_StoredRow(context, builder, signature, arguments))
        return context.get_dummy_value()

    where = (types.intp, types.intp, table, types.intp)
    return types.void(indices, data, *where, vector), generate


@intrinsic
def _multiples_and_sums(typing, indices, data, first, last, table, column, vector, share, sums):
    """Add a row's multiples of a vector, and of its share."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        own = context.make_array(signature.args[8])(context, builder, arguments[8]).data
        _add_multiples(_StoredRow(context, builder, signature, arguments), own, arguments[7])
        return context.get_dummy_value()

    where = (types.intp, types.intp, table, types.intp)
    return types.void(indices, data, *where, vector, data.dtype, sums), generate


@intrinsic
def _fetch(typing, array, place):
    """Ask for the cache line with an entry of an array, which is needed soon."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        where = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        builder.call(function, [where, number(0), number(3), number(1)])  # read, keep, data
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic
def _turn(typing, values, row, column, out):
    """Write as many rows and columns as a vector has lanes to out, columns first."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def array(at: int) -> Any:
            return context.make_array(signature.args[at])(context, builder, arguments[at])

        number, given, turned, long = signature.args[0].dtype, array(0), array(3), ir.IntType(64)
        n = 8 * LINE // number.bitwidth
        kind = ir.VectorType(context.get_data_type(number), n)

        def place(array: Any, i: Any, j: Any) -> Any:
            at = builder.add(builder.mul(i, builder.extract_value(array.shape, 1)), j)
            return builder.bitcast(builder.gep(array.data, [at]), kind.as_pointer())

        def after(start: Any, i: int) -> Any:
            return builder.add(start, long(i))

        def either(first: Any, second: Any, lanes: list[int]) -> Any:
            mask = ir.Constant(ir.VectorType(ir.IntType(32), n), lanes)
            return builder.shuffle_vector(first, second, mask)

        row, column = arguments[1], arguments[2]
        vectors = [builder.load(place(given, after(row, i), column), align=4) for i in range(n)]
        step = 1
        while step < n:  # squares of so many rows and columns change places in pairs
            for i in range(n):
                if not i & step:
                    pair = vectors[i], vectors[i + step]
                    low = [n + j - step if j & step else j for j in range(n)]
                    high = [n + j if j & step else j + step for j in range(n)]
                    vectors[i], vectors[i + step] = either(*pair, low), either(*pair, high)
            step *= 2
        for j, vector in enumerate(vectors):
            builder.store(vector, place(turned, after(column, j), row), align=4)
        return context.get_dummy_value()

    return types.void(values, types.intp, types.intp, out), generate


_wide_products, _narrow_products = _products(SIDE_BY_SIDE, 1), _products(1, SIDE_BY_SIDE)


@compiled_fast
def fetch(indptr, indices, data, row):
    """Ask for what a row stores. Rows of one component are too short and apart to be foreseen."""
    for p in range(indptr[row], indptr[row + 1], LINE // indices.itemsize):
        _fetch(indices, p)  # type: ignore[call-arg]
    for p in range(indptr[row], indptr[row + 1], LINE // data.itemsize):
        _fetch(data, p)  # type: ignore[call-arg]


@compiled_fast
def write_products(indptr, indices, data, rows, table, out):
    """Write the products of some rows with a table's columns, (D, W), into out, (m, W).

    Four vectors of columns at a time; so a table of many columns is gone through in strips that
    stay in cache.
    """
    lanes = LINE // data.itemsize
    width, strip = table.shape[1], SIDE_BY_SIDE * lanes
    wide = width - width % strip
    for column in range(0, wide, strip):
        for q in range(len(rows)):
            i = rows[q]
            _wide_products(indices, data, indptr[i], indptr[i + 1], table, column, out[q])
    for column in range(wide, width, lanes):
        for q in range(len(rows)):
            i = rows[q]
            if q + AHEAD < len(rows):
                fetch(indptr, indices, data, rows[q + AHEAD])
            _narrow_products(indices, data, indptr[i], indptr[i + 1], table, column, out[q])


@compiled_fast
def add_multiples(indptr, indices, data, rows, factors, table):
    """Add what some rows store times their factors, (m, W), to table, (D, W)."""
    for q in range(len(rows)):
        first, last, factor = indptr[rows[q]], indptr[rows[q] + 1], factors[q]
        for column in range(0, table.shape[1], LINE // data.itemsize):
            _multiples_alone(indices, data, first, last, table, column, factor)  # type: ignore[call-arg]


@compiled_fast
def add_multiples_and_sums(indptr, indices, data, rows, factors, shares, table, sums):
    """The same, and, to sums, (D,), what they store times their shares, (m,)."""
    lanes = LINE // data.itemsize
    for q in range(len(rows)):
        first, last, factor = indptr[rows[q]], indptr[rows[q] + 1], factors[q]
        share = data.dtype.type(shares[q])
        _multiples_and_sums(indices, data, first, last, table, 0, factor, share, sums)  # type: ignore[call-arg]
        for column in range(lanes, table.shape[1], lanes):
            _multiples_alone(indices, data, first, last, table, column, factor)


@compiled_fast
def turn(values, n_rows, out):
    """Write the first rows of values, (n, W), to out, (W, n), n a multiple of a vector's lanes.

    Up to so many rows more are written.
    """
    lanes, width = LINE // values.itemsize, values.shape[1]
    whole = width - width % lanes
    for row in range(0, n_rows, lanes):
        for column in range(0, whole, lanes):
            _turn(values, row, column, out)  # type: ignore[call-arg]
    for column in range(whole, width):
        for row in range(n_rows):
            out[column, row] = values[row, column]
