"""Sums over places, and values at places, of products of tables.

A table has a row for every place and a column for every function. Rows are taken in chunks, so that
memory follows the chunk and not the number of places.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import reduce

import torch
from torch import Tensor

#: Values of a chunk: what stays in a processor's cache, and what keeps a GPU busy.
CHUNK_VALUES, CHUNK_VALUES_GPU = 2**18, 2**26


def row_chunks(n_rows: int, width: int, device: torch.device) -> Iterator[slice]:
    """Rows that are worked on at once, where each needs so many values."""
    most = CHUNK_VALUES if device.type == "cpu" else CHUNK_VALUES_GPU
    step = max(1, most // width)
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def sums(tables: Sequence[Tensor], columns: Tensor) -> Tensor:
    """``sum_i prod_k table_k[i, p_k] columns[i, c]`` for all p and c."""
    n_columns, counts = columns.shape[1], [table.shape[1] for table in tables]
    total = columns.new_zeros((counts[0], n_columns * math.prod(counts[1:])))
    for rows, first, others in _chunks(tables, n_columns):
        total.addmm_(first.T, _row_products(columns[rows], others))
    return total.reshape(counts[0], n_columns, *counts[1:]).movedim(1, -1)


def values(tables: Sequence[Tensor], coefficients: Tensor) -> Tensor:
    """``sum_p prod_k table_k[i, p_k] coefficients[p, c]`` for all rows i and columns c."""
    n_columns = coefficients.shape[-1]
    matrix = coefficients.movedim(-1, 1).flatten(1)
    found = matrix.new_empty((len(tables[0]), n_columns))
    for rows, first, others in _chunks(tables, n_columns):
        inner = (first @ matrix).reshape(len(first), n_columns, -1)
        found[rows] = torch.linalg.vecdot(inner, others[:, None])
    return found


def _chunks(tables: Sequence[Tensor], n_columns: int) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Rows, their table for the first axis, and products over the others, (n, ...)."""
    first, *others = tables
    width = first.shape[1] + n_columns * math.prod(table.shape[1] for table in others)
    for rows in row_chunks(len(first), width, first.device):
        if others:
            yield rows, first[rows], reduce(_row_products, [table[rows] for table in others])
        else:
            yield rows, first[rows], first.new_ones((rows.stop - rows.start, 1))


def _row_products(first: Tensor, second: Tensor) -> Tensor:
    """Row by row all products of two tables, (n, p q)."""
    return (first[:, :, None] * second[:, None, :]).flatten(1)
