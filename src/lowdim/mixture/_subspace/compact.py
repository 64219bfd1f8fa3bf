"""EM among the leading directions of the rows, to make good starts for EM in many columns.

Let P have the leading directions of all rows as its own rows. A mixture whose means and axes lie in
their span has a log-likelihood that depends on a row x only through P x and the length of what lies
off P, so EM for such mixtures needs a few columns, at a small part of the cost of a pass over all
of them, and its objective is that of the whole rows. EM over all columns goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lowdim._journal import Journal
from lowdim._results import StopReason
from lowdim.data.blocks import Block, DenseBlock, images
from lowdim.data.passes import BlockList, Elsewhere, Passes
from lowdim.data.standardized import CACHE_BYTES, StandardizedRows
from lowdim.math.linalg import orthonormal_rows
from lowdim.mixture._em import PATIENCE, EMOptions, EMResult
from lowdim.mixture._subspace.family import SubspaceFamily
from lowdim.mixture._subspace.fit import Sifted, run_restarts
from lowdim.mixture._subspace.initialize import EXACT_COLUMNS, Starter
from lowdim.mixture._subspace.parameters import SubspaceParameters
from lowdim.mixture._subspace.seeds import leading_directions

#: There are this many directions per mean and axis, and some more, for what else is in the data.
PER_DIRECTION, SPARE = 2, 8
#: Rows per block.
BLOCK_ROWS = 2**16
#: EM settles among the directions within so many times the tolerance asked for, and restarts whose
#: objectives then differ by less than that have found the same.
COARSE = 100


@dataclass(frozen=True)
class CompactRows(Passes):
    """Rows along some directions, with the squared length of what lies off them.

    Attributes
    ----------
    data : StandardizedRows or None
        The rows in all columns; None where the others were sent to.
    directions : Tensor of shape (r, D)
        P, orthonormal rows.
    sample : DenseBlock
        The rows that starts are made from.
    total_weight : float
        As of the rows.
    device : torch.device
    """

    data: StandardizedRows | None
    directions: Tensor
    sample: DenseBlock
    total_weight: float
    device: torch.device

    @cached_property
    def blocks(self) -> Passes:
        """`DenseBlock`s of all rows, where those of all columns are; made when first asked for."""
        assert self.data is not None
        return _compact_blocks(self.data, self.directions)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "blocks": self.blocks, "data": None}  # not all columns as well

    @property
    def local(self) -> bool:
        """Whether blocks are in this process."""
        return self.blocks.local

    def __iter__(self) -> Iterator[Block]:
        return iter(self.blocks)

    def each(self, function: Callable[..., Any], along: np.ndarray | None = None) -> list[Any]:
        """What the function says of every block."""
        return self.blocks.each(function, along)

    def total(self, function: Callable[..., Any], along: np.ndarray | None = None) -> Any:
        """The sum of what it says."""
        return self.blocks.total(function, along)

    def family(self, whole: SubspaceFamily) -> SubspaceFamily:
        """The family with starts along the directions."""
        r, n_columns = self.directions.shape
        starter = replace(whole.starter, sample=self.sample, n_columns=r, n_outside=n_columns - r)
        return replace(whole, starter=starter)

    def lift(self, parameters: SubspaceParameters) -> SubspaceParameters:
        """Parameters along the directions as parameters in all columns."""
        return replace(
            parameters,
            means=parameters.means @ self.directions,
            bases=parameters.bases @ self.directions,
            n_outside=0,
        )


def compact_rows(
    data: StandardizedRows,
    starter: Starter,
    dims: list[int],
    n_starts: int,
    *,
    of_sample: bool = False,
) -> CompactRows | None:
    """The rows along their leading directions; None where that would be of no use.

    With `of_sample` the directions are those of the rows that starts are made from.
    """
    width = min(PER_DIRECTION * (len(dims) + sum(dims)) + SPARE, EXACT_COLUMNS)
    itemsize = torch.empty((), dtype=data.dtype).element_size()
    too_large = data.n_rows * width * itemsize > CACHE_BYTES
    too_small = 2 * width > min(data.n_columns, data.n_rows) or width < max(dims) + SPARE
    if too_small or too_large or (starter.exact and n_starts <= 1):
        return None
    # They are the rows' own, whatever the random state: hence the same first guess every time.
    directions = leading_directions(starter.sample, np.random.default_rng(0), width)
    weight = data.sample_weight
    n_used = data.n_rows if weight is None else np.count_nonzero(weight)
    if starter.sample.n_rows < n_used and not of_sample:  # one more round, with all rows
        directions = orthonormal_rows(data.total(partial(images, directions)))
    values, outside = _along(starter.sample, directions)
    return CompactRows(
        data, directions, DenseBlock(values, outside=outside), data.total_weight, data.device
    )


def _compact_blocks(data: StandardizedRows, directions: Tensor) -> Passes:
    """All rows along the directions: in large blocks, or where the workers have theirs."""
    if isinstance(data, Elsewhere):
        return data.mapped(partial(_compact_block, directions))
    width, weight = len(directions), data.sample_weight
    values = torch.empty((data.n_rows, width), dtype=data.dtype, device=data.device)
    outside = torch.empty(data.n_rows, dtype=torch.float64, device=data.device)
    for block in data:
        part = slice(block.start, block.start + block.n_rows)
        values[part], outside[part] = _along(block, directions)
    weights = None if weight is None else torch.from_numpy(weight).to(data.device)
    parts = [slice(i, min(i + BLOCK_ROWS, data.n_rows)) for i in range(0, data.n_rows, BLOCK_ROWS)]
    return BlockList(
        [
            DenseBlock(
                values[part], part.start, None if weights is None else weights[part], outside[part]
            )
            for part in parts
        ]
    )


def _compact_block(directions: Tensor, block: Block) -> DenseBlock:
    values, outside = _along(block, directions)
    return DenseBlock(values, block.start, block.weights, outside)


def _along(block: Block, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Rows along the directions, (n, r), and the squared length off them, (n,)."""
    values = block.project(directions).T.contiguous()
    inside = torch.linalg.vector_norm(values, dim=1, dtype=torch.float64).square_()
    return values, (block.squared_norms - inside).clamp_(min=0)


def refine(
    family: SubspaceFamily,
    rows: CompactRows,
    start: SubspaceParameters,
    options: EMOptions,
    report: Callable[[int, float], None] | None = None,
    n_workers: int = 1,
    journal: Journal | None = None,
) -> tuple[SubspaceParameters, Sifted]:
    """Run EM among the directions; restarts that end alike go on as one.

    Returns
    -------
    parameters : SubspaceParameters
        In all columns; only restarts that found something of their own and are not outpaced.
    sifted : Sifted
    """
    options = replace(options, tol=COARSE * options.tol)
    result = run_restarts(family, rows, [start], options, report, n_workers, journal)
    place = np.full(len(result.objective), -1)
    kept: list[int] = []
    behind = _behind(result, options)
    for r in range(len(place)):  # in this order, lest rounding decide which of equals goes on
        if behind[r]:
            continue
        alike = (np.abs(result.objective[kept] - result.objective[r]) < options.tol) & (
            result.degenerate[kept] == result.degenerate[r]
        )
        place[r] = alike.argmax() if alike.any() else len(kept)
        if not alike.any():
            kept.append(r)
    index = torch.tensor(kept, device=rows.device)
    return rows.lift(result.parameters.select(index)), Sifted(result.objective, place)


def _behind(result: EMResult[SubspaceParameters], options: EMOptions) -> np.ndarray:
    """Restarts that are too far below the best, as `run_em` has it, whichever settled first."""
    behind = np.array([reason is StopReason.OUTPACED for reason in result.reasons])
    if options.comparable:
        best = result.objective[result.best()]
        behind |= result.objective + PATIENCE * options.tol < best
    return behind
