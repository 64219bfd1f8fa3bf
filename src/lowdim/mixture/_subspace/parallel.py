"""Restarts split over joblib's workers."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch

from lowdim._journal import Journal
from lowdim._random import spawn
from lowdim._threads import threads_for
from lowdim.data.blocks import Rows
from lowdim.mixture._em import EMResult
from lowdim.mixture._subspace.family import SubspaceFamily
from lowdim.mixture._subspace.parameters import SubspaceParameters

#: With more values than this a batch of restarts already keeps all cores busy.
BUSY_VALUES = 1_000_000
#: Restarts that share their passes at most: one of each kind of start.
SHARE = 3

#: Runs a batch of restarts; a function that can be sent to another process.
Run = Callable[[SubspaceFamily, Rows, SubspaceParameters, Journal], EMResult[SubspaceParameters]]


def worth_splitting(n_rows: int, start: SubspaceParameters) -> bool:
    """Whether workers would be faster than one batch of restarts whose rows threads share.

    Threads that take a share of the restarts each would have to read all rows each. Processes or
    machines that joblib was told to use are taken in any case.
    """
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend(prefer="threads")
    few = n_rows * start.means.shape[-1] <= BUSY_VALUES
    return start.n_restarts > 1 and (few or not getattr(backend, "supports_sharedmem", False))


def in_workers(
    run: Run,
    family: SubspaceFamily,
    data: Rows,
    start: SubspaceParameters,
    n_workers: int,
    journal: Journal,
) -> list[EMResult[SubspaceParameters]]:
    """Results of the restarts, in their order, a few at a time as one.

    Workers are threads that share the rows, a core each, or what joblib's configuration names; with
    a checkpoint, which they write together, always threads. They take the next few when they are
    done, so that results do not depend on their number.
    """
    from joblib import Parallel, delayed

    n_shares = -(-start.n_restarts // SHARE)
    edges = np.linspace(0, start.n_restarts, n_shares + 1).astype(int).tolist()
    shares = [start.select(torch.arange(*edge)) for edge in pairwise(edges)]
    # Components are re-seeded at random: by a stream per share, lest their order matter.
    rngs = spawn(family.starter.rng, n_shares)
    families, journals = [family.drawing_from(rng) for rng in rngs], journal.split(rngs)
    kind = {"prefer": "threads"} if journal.checkpoint is None else {"require": "sharedmem"}
    next(iter(data))  # blocks that are kept are made once, and not by every thread
    with threads_for(0):
        parallel = Parallel(n_jobs=min(n_workers, n_shares), batch_size=1, **kind)
        results: list[EMResult[SubspaceParameters]] = parallel(
            delayed(_work)(run, own, data, share, part)
            for own, share, part in zip(families, shares, journals, strict=True)
        )
    return results


def _work(
    run: Run, family: SubspaceFamily, data: Rows, start: SubspaceParameters, journal: Journal
) -> EMResult[SubspaceParameters]:
    with threads_for(0):  # in another process too
        return run(family, data, start, journal)
