"""The E-step of rows on the host: parameters in, statistics out, compiled."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lowdim._threads import in_threads, row_parts
from lowdim.data.blocks import THREAD_VALUES, DenseBlock, SparseBlock
from lowdim.math.linalg import by_rotations
from lowdim.mixture._family import Statistics
from lowdim.mixture._subspace.maximize import Spectrum
from lowdim.mixture._subspace.parameters import SubspaceParameters

#: Rows times components (times columns, where there are many) that are worth a thread.
THREAD_WORK, THREAD_WORK_MANY = 50_000, 1_000_000
#: Stored rows whose responsibilities are one thread's at a time.
PART_ROWS = 2048
#: Stored rows of one component whose sums are one thread's at a time, and into how many pieces the
#: rows of all components fall at most beside those that are whole.
PIECE_ROWS, PIECES = 8192, 16
#: Products with a multiple of so many directions are fastest.
VECTOR = 8

_LAYING_OUT = Lock()


def fused_expectation(
    block: DenseBlock | SparseBlock, parameters: SubspaceParameters, assignment: str, beta: float
) -> tuple[Statistics, Tensor]:
    """The block's statistics, as `SubspaceFamily.statistics` has them, and summed objective.

    Sparse rows only under parameters that have a sketch.
    """
    if isinstance(block, SparseBlock):
        return _stored(block, parameters, assignment, beta)
    kernel = _whole if parameters.sketch is None else _sketched
    return kernel(block, parameters, assignment, beta)


def in_one_call(n_rows: int, parameters: SubspaceParameters) -> bool:
    """Whether there is so little to do that an EM step is best made by one compiled function."""
    r, k, d = parameters.shape
    few = parameters.sketch is None and by_rotations(d, parameters.retained)
    return few and parameters.on_host and n_rows * r * k < 2 * THREAD_WORK


def fused_spectrum(
    block: DenseBlock, parameters: SubspaceParameters, assignment: str, beta: float, floor: float
) -> tuple[np.ndarray, np.ndarray, Spectrum]:
    """Summed objective (R,), squares (R, K) as in the statistics, and what the M-step needs."""
    from lowdim.mixture._subspace.step import step

    fields = parameters.hosts("weights", "means", "bases", "latent", "noise", "dims")
    rows, n_columns = (
        (block.host_rows, block.host_outside, block.host_weights),
        parameters.n_columns,
    )
    objective, counts, squares, (means, values, vectors, tables) = step(
        *rows, *fields, n_columns, assignment == "soft", beta, floor
    )
    residual, noise, cost = tables
    eigen = Spectrum(counts, values, means, vectors, residual, noise, cost, n_columns)
    return objective, squares, eigen


def whole_statistics(block: DenseBlock, responsibilities: Tensor) -> Statistics:
    """Statistics of given responsibilities, (R, K, n), with the second moments themselves."""
    from lowdim.data.dense import moments_of

    r, k, n = responsibilities.shape
    shares = np.ascontiguousarray(responsibilities.numpy()).reshape(r * k, n)
    sums, second = moments_of(block.host_rows, shares)
    statistics = {
        "counts": shares.sum(1),
        "squares": np.square(shares).sum(1),
        "sums": sums,
        "energy": shares @ block.squared_norms.numpy(),
        "second": second,
    }
    return {
        name: torch.from_numpy(value.reshape(r, k, *value.shape[1:]))
        for name, value in statistics.items()
    }


def _whole(
    block: DenseBlock, parameters: SubspaceParameters, assignment: str, beta: float
) -> tuple[Statistics, Tensor]:
    """Few columns: with the second moments themselves."""
    from lowdim.mixture._subspace.estep import accumulate

    means, bases, dims = parameters.hosts("means", "bases", "dims")
    terms = (means, bases, dims, *_score_terms(parameters, assignment), assignment == "soft", beta)
    rows, outside, weights = block.host_rows, block.host_outside, block.host_weights
    work = block.n_rows * means.shape[0] * means.shape[1] // THREAD_WORK
    sums = _in_parts(
        lambda part: accumulate(rows[part], outside[part], weights[part], *terms),
        block.n_rows,
        work,
    )
    names = ("counts", "squares", "sums", "energy", "second")
    return dict(zip(names, sums, strict=False)), sums[-1]


def _sketched(
    block: DenseBlock, parameters: SubspaceParameters, assignment: str, beta: float
) -> tuple[Statistics, Tensor]:
    """Many columns: with second moments along the sketch."""
    from lowdim.data.dense import chunk_rows
    from lowdim.mixture._subspace.sketched import accumulate

    r, k, d = parameters.shape
    rows, weights, norms = block.host_rows, block.host_weights, block.squared_norms.numpy()
    key = (assignment, rows.dtype)
    layout = _laid_out(parameters, key, lambda: _layout(parameters, assignment, rows.dtype))
    terms = (*layout, chunk_rows(d, k), assignment == "soft", beta)
    counts, squares, energy, moments, objective = _in_parts(
        lambda part: accumulate(rows[part], norms[part], weights[part], *terms),
        block.n_rows,
        block.n_rows * r * k * d // THREAD_WORK_MANY,
    )
    return _named(counts, squares, energy, moments.unflatten(0, (r, k))), objective


def _stored(
    block: SparseBlock, parameters: SubspaceParameters, assignment: str, beta: float
) -> tuple[Statistics, Tensor]:
    """Sparse rows in many columns."""
    from lowdim.mixture._subspace.stored import close_up, share, sum_up

    r, k, _ = parameters.shape
    stored, norms = block.stored(), block.squared_norms.numpy()
    key = (assignment, block.rows.dtype, "stored")
    *scores, sketches, shifts = _laid_out(
        parameters, key, lambda: _stored_layout(parameters, assignment, block)
    )
    n, worth = block.n_rows, block.rows.nnz * scores[0].shape[1] > THREAD_VALUES
    which, own = np.empty((r * k, n), np.int32), np.empty((r * k, n))
    starts = np.arange(0, n, PART_ROWS)
    filled = np.empty((len(starts), r * k), np.int64)

    def shared(part: int) -> tuple[np.ndarray, ...]:
        rows = norms, block.host_weights, starts[part], min(starts[part] + PART_ROWS, n)
        terms = (*scores, assignment == "soft", beta)
        return share(*stored, *rows, *terms, which, own, filled[part])

    n_threads = None if worth else 1
    sums = in_threads(shared, range(len(starts)), n_threads=n_threads)
    counts, squares, energy, objective = (
        torch.from_numpy(sum(part)) for part in zip(*sums, strict=True)
    )
    pieces = _pieces(close_up(which, own, starts, filled))
    assert parameters.sketch is not None
    moments = np.empty((len(pieces), 1 + parameters.sketch.shape[2], len(block.mean)))

    def summed(part: slice) -> None:
        given = sketches, shifts, block.mean, block.scale, moments[part]
        sum_up(*stored, which, own, pieces[part], *given)

    largest_first = np.argsort(pieces[:, 1] - pieces[:, 2], kind="stable")
    each = [slice(i, i + 1) for i in largest_first] if worth else [slice(None)]
    in_threads(summed, each, n_threads=n_threads)
    for i in range(r * k, len(pieces)):
        moments[pieces[i, 0]] += moments[i]
    first = torch.from_numpy(moments[: r * k]).unflatten(0, (r, k))
    return _named(counts, squares, energy, first), objective


def _pieces(lengths: np.ndarray) -> np.ndarray:
    """Components' rows in pieces, (m, 3): component, first and last; first the first of each."""
    step = max(PIECE_ROWS, -(-int(lengths.sum()) // PIECES))  # each has sums of its own
    first = [(c, 0, min(step, n)) for c, n in enumerate(lengths)]
    rest = [
        (c, start, min(start + step, n))
        for c, n in enumerate(lengths)
        for start in range(step, n, step)
    ]
    return np.array(first + rest)


def _named(counts: Tensor, squares: Tensor, energy: Tensor, moments: Tensor) -> Statistics:
    """Statistics from sums, of which moments, (R, K, 1 + w, D), has those along the sketch."""
    return {
        "counts": counts,
        "squares": squares,
        "energy": energy,
        "sums": moments[:, :, 0],
        "second": moments[:, :, 1:],
    }


def _laid_out(
    parameters: SubspaceParameters, key: Hashable, make: Callable[[], tuple[np.ndarray, ...]]
) -> tuple[np.ndarray, ...]:
    """Parameters laid out for a compiled pass, once for all its blocks and threads."""
    with _LAYING_OUT:
        found = parameters.layouts.get(key)
        if found is None:
            found = parameters.layouts[key] = make()
        return found


def _stored_layout(
    parameters: SubspaceParameters, assignment: str, block: SparseBlock
) -> tuple[np.ndarray, ...]:
    """Parameters as `stored.share` and `sum_up` take them: for rows not yet standardised."""
    from lowdim.data.lanes import blank_table, table

    r, k, d = parameters.shape
    dtype = block.rows.dtype
    scores = _score_layout(parameters, assignment, np.dtype(np.float64))
    directions, offsets, precision, owner, centre, gain = scores
    directions /= block.scale
    centred = block.mean @ directions
    sketch = parameters.host("sketch").reshape(r * k, -1, d)
    width = sketch.shape[1]
    sketches = blank_table(r * k * d, width, dtype).reshape(r * k, d, -1)
    np.divide(sketch.swapaxes(1, 2), block.scale, out=sketches[..., :width], casting="same_kind")
    shifts = np.zeros((r * k, sketches.shape[2]), dtype)
    shifts[:, :width] = sketch @ block.mean / block.scale
    return (
        table(directions, dtype),
        offsets - centred[: r * k].reshape(r, k),
        precision,
        owner,
        centre + centred[r * k : r * k + len(centre)],
        gain,
        sketches,
        shifts,
    )


def _layout(
    parameters: SubspaceParameters, assignment: str, dtype: np.dtype
) -> tuple[np.ndarray, ...]:
    """Parameters as `sketched.accumulate` takes them."""
    r, k, d = parameters.shape
    sketches = parameters.host("sketch").reshape(r * k, -1, d).swapaxes(1, 2)
    stacked = parameters.host("sketch").reshape(r, -1, d).swapaxes(1, 2)
    return (
        *_score_layout(parameters, assignment, dtype),
        np.ascontiguousarray(sketches, dtype=dtype),
        np.ascontiguousarray(stacked, dtype=dtype),
    )


def _score_layout(
    parameters: SubspaceParameters, assignment: str, dtype: np.dtype
) -> tuple[np.ndarray, ...]:
    """What scores are made with: directions, offsets, precision, owner, centre and gain."""
    r, k, d = parameters.shape
    constant, precision, gain = _score_terms(parameters, assignment)
    means = parameters.host("means")
    axes = parameters.axes.numpy()
    n = r * k + len(axes)
    directions = np.zeros((d, n + -n % VECTOR), dtype)
    np.multiply(means.reshape(r * k, d).T, precision.ravel(), out=directions[:, : r * k])
    directions[:, r * k : n] = axes.T
    return (
        directions,
        constant - 0.5 * precision * np.square(means).sum(-1),
        precision,
        parameters.axis_owner.numpy(),
        parameters.axis_means.numpy(),
        gain[parameters.inside],
    )


def _in_parts(kernel: Callable[[slice], tuple[Any, ...]], n_rows: int, worth: int) -> list[Tensor]:
    """The summed results of a kernel over the rows, in parts side by side if that is worth it."""
    parts = row_parts(n_rows, worth)
    if len(parts) == 1:
        return [torch.from_numpy(value) for value in kernel(parts[0])]
    sums = zip(*in_threads(kernel, parts), strict=True)
    return [torch.from_numpy(sum(part)) for part in sums]


def _score_terms(
    parameters: SubspaceParameters, assignment: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Constant (R, K), precision (R, K) and gain (R, K, q) of the scores (see `shares`)."""
    if assignment == "closest":
        shape = parameters.latent.shape
        return np.zeros(shape[:2]), np.full(shape[:2], 2.0), np.ones(shape)
    return parameters.score_terms
