"""How estimators of all pairs are fitted, and how new rows come into their layouts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from lowdim._checkpoint import Arrays
from lowdim._device import resolve_device
from lowdim._journal import Journal, LongFit
from lowdim._progress import reports
from lowdim._random import generator
from lowdim._threads import threads_for
from lowdim._validation import check_in, check_interval, check_positive, check_positive_int
from lowdim.affinities._dense import DenseAffinity
from lowdim.data.estimator_rows import read_rows
from lowdim.data.sources import RowSource
from lowdim.embedding._base import Found, NeighborLayout
from lowdim.embedding._course import Watch
from lowdim.embedding._crew import Crew
from lowdim.embedding._initial import SPREAD, check_init, first_layout, needs_rows
from lowdim.embedding._pairs.settings import PairSettings, check_backend
from lowdim.embedding.output_affinities import OutputAffinity
from lowdim.embedding.tsne import joint_probabilities
from lowdim.neighbors import NeighborIndex

#: Points up to which one thread is quicker than several.
FEW = 500


class Term(Protocol):
    """What is added to the loss of all pairs."""

    def gradient(self, Y: np.ndarray) -> np.ndarray: ...
    def loss(self, Y: np.ndarray) -> float: ...


@dataclass(frozen=True)
class Start:
    """What a fit begins with.

    Attributes
    ----------
    settings : PairSettings
    journal : Journal
        Where the descent is kept, with the random numbers of the fit.
    source : RowSource
    found : Found
    P : CSR, (N, N), float32
        Affinities that sum to one.
    layout : (N, c), float64
    """

    settings: PairSettings
    journal: Journal
    source: RowSource
    found: Found
    P: sp.csr_matrix
    layout: np.ndarray


@contextmanager
def begin(
    model: NeighborLayout,
    X: Any,
    affinity: Any,
    *,
    in_ball: bool = False,
    first: bool = True,
    given: Mapping[str, Any] | None = None,
) -> Iterator[Start]:
    """Check everything, find the graph, and make the first layout, of a fit that lasts as long.

    Parameters
    ----------
    model, X
    affinity
        Makes the graph.
    in_ball
        Whether the layout is one in the Poincare ball.
    first
        Whether these are the rows of a fit, rather than more of them, which no file keeps.
    given
        What the fit depends on beside the rows and the settings, by name.
    """
    settings = PairSettings.of(model)
    resolve_device(model.device)
    source = read_rows(model, X, reset=first)
    init = _init(model, source, settings)
    facts = {**settings.facts, **(given or {})}
    long_fit = LongFit(model, source, generator(model.random_state), facts, kept=first)
    with long_fit as journal:
        rng = journal.rng
        found = _found(model, source, affinity, rng)
        P = joint_probabilities(found.graph)
        rows = source.rows(0, source.n_rows) if needs_rows(init) else None
        layout = first_layout(init, settings.n_components, rows, P, rng)
        known = isinstance(init, np.ndarray)
        if not known:
            layout = layout * (settings.init_scaling / SPREAD)
        if in_ball:
            layout = _into_ball(layout, given=known)
        yield Start(settings, journal, source, found, P, layout)


def _init(model: NeighborLayout, source: RowSource, settings: PairSettings) -> Any:
    """Where to begin, checked."""
    wanted, has_rows = model.init, model._has_rows()
    if isinstance(wanted, str) and wanted == "pca" and not has_rows:
        wanted = "spectral"
    return check_init(wanted, source.n_rows, settings.n_components, has_rows=has_rows)


def _into_ball(layout: np.ndarray, *, given: bool) -> np.ndarray:
    """Places as points of the ball: those that were given must be in it."""
    length = np.linalg.norm(layout, axis=1, keepdims=True)
    if given:
        if (length >= 1).any():
            row = int((length >= 1).any(1).argmax())
            raise ValueError(f"init has row {row} outside the unit ball; pass places within it.")
        return layout
    return np.asarray(layout * np.tanh(length) / np.maximum(length, 1e-30))


def _found(
    model: NeighborLayout, source: RowSource, affinity: Any, rng: np.random.Generator
) -> Found:
    """The graph, by an affinity of neighbours or of all pairs."""
    dense = isinstance(affinity, DenseAffinity)
    by_faiss = getattr(model, "backend", None) == "faiss" and not dense
    if not dense and not (by_faiss and model._has_rows() and isinstance(model.neighbors, str)):
        return model._found(source, rng)
    index = NeighborIndex(
        source,
        metric=model.metric,
        method="faiss" if by_faiss else "auto",
        random_state=rng,
        n_jobs=model.n_jobs,
        device=model.device,
    )
    if by_faiss:
        neighbors = index.neighbors(affinity.n_neighbors_for(index.n_points))
        return Found(affinity.from_neighbors(neighbors), neighbors, index)
    return Found(affinity.graph(source.rows(0, source.n_rows), metric=model.metric), None, index)


def lay_out(
    model: NeighborLayout, start: Start, output: OutputAffinity, term: Term | None = None
) -> None:
    """Descend from the first layout, and write the estimator's attributes."""
    import torch

    from lowdim.embedding._pairs.descent import PairDescent

    settings, n = start.settings, len(start.layout)
    looks = settings.max_iter // settings.every
    with (
        Crew(model.n_jobs if n > FEW else 1) as crew,
        threads_for(0),
        reports(looks, description=type(model).__name__, enabled=bool(model.verbose)) as report,
    ):
        forces: Any = forces_of(model, start.P, output, crew)
        whole: Any = forces if term is None else _Sum(forces, term)
        points = torch.from_numpy(start.layout.astype(np.float32))
        watch = Watch(settings.callbacks, settings.every, report)
        descent = PairDescent(whole, settings, output.in_ball, points, watch)
        descent.run(start.journal)
        layout = descent.layout
        model.loss_ = whole.loss(layout)
        model._potentials = forces.potentials(layout)
    model.embedding_ = layout
    descent.course.tell(model)
    remember(model, start, output)


def remember(model: NeighborLayout, start: Start, output: OutputAffinity) -> None:
    """Write what is known without a descent."""
    model._remember(start.found)
    model._output = output


class _Sum:
    """Forces of pairs, and a term beside them."""

    def __init__(self, forces: Any, term: Term) -> None:
        self._forces, self._term = forces, term

    def gradient(self, Y: np.ndarray, weight: float) -> np.ndarray:
        return np.asarray(self._forces.gradient(Y, weight) + self._term.gradient(Y))

    def loss(self, Y: np.ndarray) -> float:
        return float(self._forces.loss(Y)) + self._term.loss(Y)

    def state(self) -> Arrays:
        return self._forces.state()

    def take(self, state: Arrays) -> None:
        self._forces.take(state)


def forces_of(model: NeighborLayout, P: sp.csr_matrix, output: OutputAffinity, crew: Crew) -> Any:
    """Compiled sums on the host, torch's blocks on a device and for kernels that are functions."""
    device = resolve_device(model.device)
    backend = check_backend(getattr(model, "backend", None))
    if device.type == "cpu" and backend != "blockwise" and output.kernel() is not None:
        from lowdim.embedding._pairs.forces import PairForces

        return PairForces(P, output, crew)
    from lowdim.embedding._pairs.torch_forces import BlockForces

    return BlockForces(P, output, crew, device)


def place_rows(
    model: NeighborLayout,
    X: Any,
    *,
    perplexity: float,
    exaggeration: float,
    learning_rate: float,
    n_iter: int,
    term: Any = None,
) -> np.ndarray:
    """Places of new rows in the layout, which stays as it is, (m, c), float32.

    `term` makes, of the new rows, squared distances from the centre, and has their weight.
    """
    from lowdim.embedding._pairs.new_points import Moves, place

    moves = Moves(
        n_iter=check_positive_int(n_iter, "n_iter", minimum=0),
        weight=check_positive(exaggeration, "exaggeration"),
        learning_rate=check_interval(learning_rate, "learning_rate", low=0.0),
        pull=0.0 if term is None else term.weight,
    )
    shares = model._entropic_shares(X, perplexity)
    targets = None if term is None else term.targets_of(read_rows(model, X, reset=False))
    with Crew(model.n_jobs) as crew, threads_for(0):
        arguments = model.embedding_, model._output, model._potentials, moves, crew, targets
        return place(shares, *arguments)


def check_affinity(affinity: Any, name: str) -> Any:
    """An object of `lowdim.affinities`, or "precomputed"."""
    if isinstance(affinity, str):
        return check_in(affinity, name, ("precomputed",))
    if not (hasattr(affinity, "from_neighbors") or isinstance(affinity, DenseAffinity)):
        raise TypeError(
            f"{name}={affinity!r} makes no graph of neighbours; pass an object of "
            "lowdim.affinities, such as EntropicAffinity(), or 'precomputed'."
        )
    return affinity
