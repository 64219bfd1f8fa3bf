"""Which starts are worth EM with all rows: workers find out on the rows that starts are made from.

Most starts end where another one does, or far below the best, and a few thousand rows tell. What
separates two mixtures is the mean difference of the rows' log-likelihoods, and the same rows tell
its standard error. A start goes on unless it is behind by several of these, or no row can tell it
from one that goes on. Workers need only the sample, and no more than that is sent to processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from lowdim._journal import Journal
from lowdim.data.blocks import Block
from lowdim.data.passes import Passes
from lowdim.mixture._em import PATIENCE, EMOptions
from lowdim.mixture._subspace.arguments import Arguments
from lowdim.mixture._subspace.family import SubspaceFamily
from lowdim.mixture._subspace.fit import Sifted, run_restarts
from lowdim.mixture._subspace.parameters import SubspaceParameters

#: All rows are at least so many times those of the sample, more where they have so few values that
#: EM with all takes little, and the sample has so many per component.
FEWER, FEWER_OF_FEW_VALUES, ROWS_PER_COMPONENT = 2, 5, 100
#: Standard errors by which a start that is dropped is behind the best.
ERRORS = 5
#: Root mean square difference of rows' log-likelihoods under mixtures that are the same.
ALIKE = 0.06


@dataclass(frozen=True)
class SampleRows(Passes):
    """The sample that starts are made from, as all the rows there are."""

    block: Block
    total_weight: float
    device: torch.device

    def __iter__(self) -> Iterator[Block]:
        yield self.block


def worth_sifting(arguments: Arguments, sample: Block, fewer: int = FEWER) -> bool:
    """Whether workers have several starts, and `fewer` rows would do, of a sample large enough."""
    several = min(arguments.n_workers, len(arguments.strategies)) > 1
    plain = arguments.minibatches is None and arguments.options.annealing is None
    n_components = len(arguments.dims) + len(arguments.given)
    enough = sample.n_rows >= ROWS_PER_COMPONENT * n_components
    many = arguments.source.n_rows >= fewer * sample.n_rows
    return several and plain and enough and many and sample.weights is None


def sift(
    family: SubspaceFamily,
    start: SubspaceParameters,
    options: EMOptions,
    n_workers: int,
    journal: Journal | None = None,
) -> tuple[SubspaceParameters, Sifted]:
    """EM with the sample, and which starts go on from where it led them.

    Starts that failed or degenerated, for which the sample may have too few rows, go on from
    where they were.
    """
    sample = family.starter.sample
    rows = SampleRows(sample, float(sample.n_rows), start.device)
    own = replace(family, n_rows=sample.n_rows, total_weight=rows.total_weight)
    to_the_end = replace(options, prune=False)  # who is behind is for the rows to say
    result = run_restarts(own, rows, [start], to_the_end, None, n_workers, journal)
    unknown = result.degenerate | ~np.isfinite(result.objective)
    scores = own.log_joint(sample, result.parameters).logsumexp(1).cpu().numpy()
    best = result.best()
    gaps, behind = _compared(scores, best, options)
    place, kept = _places(scores, unknown, behind & options.comparable)
    again = torch.from_numpy(np.flatnonzero(unknown)).to(rows.device)
    parameters = result.parameters.assign(again, start.select(again))
    sifted = Sifted(-gaps, place, reference=int(place[best]))
    return parameters.select(torch.tensor(kept, device=rows.device)), sifted


def _compared(scores: np.ndarray, best: int, options: EMOptions) -> tuple[np.ndarray, np.ndarray]:
    """How far starts are behind the best per row, (R,), and whether that is for good.

    It is where neither chance nor small steps as the last one would make up for it.
    """
    differences = scores[best] - scores
    gaps = differences.mean(1)
    errors = differences.std(1) / np.sqrt(differences.shape[1])
    return gaps, gaps > ERRORS * errors + PATIENCE * options.tol


def _places(
    scores: np.ndarray, unknown: np.ndarray, behind: np.ndarray
) -> tuple[np.ndarray, list[int]]:
    """Which of the starts that go on each one goes on as, -1 for none; and which go on.

    Of those that are alike the best does.
    """
    place = np.full(len(scores), -1)
    kept: list[int] = []
    for r in np.argsort(-scores.mean(1), kind="stable").tolist():
        if behind[r] and not unknown[r]:
            continue
        known = [k for k in kept if not (unknown[k] or unknown[r])]
        alike = [k for k in known if np.square(scores[r] - scores[k]).mean() < ALIKE**2]
        if not alike:
            kept.append(r)
        place[r] = kept.index(alike[0] if alike else r)
    return place, kept
