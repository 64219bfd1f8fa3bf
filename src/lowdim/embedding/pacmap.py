"""Pairwise controlled manifold approximation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from lowdim._device import resolve_device
from lowdim._journal import Journal, LongFit
from lowdim._progress import reports
from lowdim._random import generator
from lowdim._validation import (
    check_in,
    check_interval,
    check_positive,
    check_positive_int,
    check_shape,
)
from lowdim.affinities import Graph, Pairs
from lowdim.affinities._graph import mean_of_both, rows_to_csr
from lowdim.affinities.pairs import PairNumbers, local_scales, nearest_scaled, pairs_of
from lowdim.data.estimator_rows import read_rows
from lowdim.data.sources import RowSource, as_rows
from lowdim.embedding._base import SEARCHES, NeighborLayout
from lowdim.embedding._by_blocks import by_blocks
from lowdim.embedding._course import Watch
from lowdim.embedding._crew import Crew
from lowdim.embedding._initial import SPREAD, check_init, first_layout, needs_rows
from lowdim.embedding._spectral.centred_rows import coordinates
from lowdim.embedding._tsne.settings import check_callbacks
from lowdim.embedding.pca import PCA
from lowdim.neighbors import NeighborIndex, Neighbors

if TYPE_CHECKING:
    import torch

    from lowdim._typing import PathLike
    from lowdim.embedding._pacmap.course import PairSteps

#: Columns above which principal components take the place of the rows, and how many of them.
MANY_COLUMNS = 100
#: How exact these are: the flat of the leading ones is settled long before each of them.
REDUCTION_TOL = 1e-3
#: Standard deviation of a first layout along its first axis, unless places are given.
WIDTH = 1e-2
#: Rows up to which the number of neighbours None stays at ten.
FEW_ROWS = 10_000
#: Points up to which one thread is quicker than several.
FEW = 1_000
#: Steps to the place of a new row.
STEPS = 100


class PaCMAP(NeighborLayout):
    """A layout that keeps near rows near and the large picture right: PaCMAP.

    Near rows attract each other, random rows repel, and for the first phases rows that are
    somewhat near attract each other too, which settles the large picture. The loss is ``sum w_near
    d / (10 + d) + sum w_mid d / (10000 + d) + sum w_further 1 / (1 + d)`` over the three kinds of
    pairs, ``d = 1 + r^2``, and Adam lessens it. The same seed gives the same layout, whatever the
    number of threads.

    Parameters
    ----------
    n_components : int, default=2
    n_neighbors : int or None, default=10
        Near partners of each row; None takes more than ten above 10,000 rows.
    MN_ratio : float, default=0.5
        Mid-near partners per near one.
    FP_ratio : float, default=2.0
        Further partners per near one.
    lr : float, default=1.0
        Learning rate.
    num_iters : int or (int, int, int), default=(100, 100, 250)
        Iterations of the three phases; one number is those of the last.
    init : {"auto", "pca", "spectral", "random"}, estimator or array of shape (N, c), default="auto"
        As of `TSNE`, but with a standard deviation of 0.01 along the first axis.
    apply_pca : bool, default=True
        Take 100 principal components of rows with more columns.
    metric : str, default="euclidean"
        As of `lowdim.neighbors.NeighborIndex`; with "precomputed" X holds all distances, (N, N).
    neighbors : {"auto", "exact", "approximate", "faiss"} or Neighbors, default="auto"
        How neighbours are sought, or what they are: better 50 more than `n_neighbors`, since the
        nearest in units of both rows' distances to their neighbours are taken.
    callbacks : callable or sequence of these, optional
        Called with the number of iterations, the layout and the loss; one that returns true ends
        the fit.
    callbacks_every : int, default=50
    device : str or torch.device, default="cpu"
        Where neighbours and the layout are found: "cpu" by compiled loops, "cuda" by torch, "auto"
        on a GPU if there is one.
    n_jobs : int, optional
        Threads: as many as torch has for None, one per core for -1.
    random_state : int, Generator or RandomState, optional
    checkpoint : str or Path, optional
        A file to keep the descent in every few iterations, as of `lowdim.TSNE`.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    embedding_ : ndarray of shape (N, c), float32
    pairs_ : Pairs
    affinities_ : Graph
        The near pairs, in both directions.
    neighbors_ : Neighbors
    reduction_ : (ndarray of shape (D, 100), ndarray of shape (D,)) or None
        Axes and mean of the principal components that took the place of the rows.
    n_iter_ : int
    stop_reason_ : str
        "limit", "callback" or "interrupted".
    history_ : dict of lists
        ``iteration`` and ``loss`` at every look, if anyone looked.
    n_features_in_ : int

    References
    ----------
    Wang, Huang, Rudin and Shaposhnik (2021), Understanding how dimension reduction tools work.

    Examples
    --------
    >>> import numpy as np, lowdim as ld
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(size=(50, 5)), rng.normal(size=(50, 5)) + 9])
    >>> ld.PaCMAP(random_state=0).fit_transform(X).shape
    (100, 2)
    """

    #: The graph is that of the near pairs; no other can be given.
    affinity = None

    def __init__(
        self,
        n_components: int = 2,
        *,
        n_neighbors: int | None = 10,
        MN_ratio: float = 0.5,
        FP_ratio: float = 2.0,
        lr: float = 1.0,
        num_iters: Any = (100, 100, 250),
        init: Any = "auto",
        apply_pca: bool = True,
        metric: str = "euclidean",
        neighbors: Any = "auto",
        callbacks: Any = None,
        callbacks_every: int = 50,
        device: Any = "cpu",
        n_jobs: int | None = None,
        random_state: Any = None,
        checkpoint: PathLike | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.n_neighbors = n_neighbors
        self.MN_ratio = MN_ratio
        self.FP_ratio = FP_ratio
        self.lr = lr
        self.num_iters = num_iters
        self.init = init
        self.apply_pca = apply_pca
        self.metric = metric
        self.neighbors = neighbors
        self.callbacks = callbacks
        self.callbacks_every = callbacks_every
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.checkpoint = checkpoint
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the layout.

        Parameters
        ----------
        X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (N, D)
            Rows, or with ``metric="precomputed"`` their distances, (N, N).
        y : ignored

        Returns
        -------
        The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            An argument or the data cannot be used.
        """
        settings = _Settings.of(self)
        source = read_rows(self, X)
        check_shape((source.n_rows, source.n_cols), min_rows=2)
        sizes = settings.sizes(source.n_rows)
        init = check_init(
            self.init, source.n_rows, settings.n_components, has_rows=self._has_rows()
        )
        with LongFit(self, source, generator(self.random_state), {}) as journal:
            rng = journal.rng
            self.reduction_ = self._reduction(source, rng)
            rows = self._reduced(source)
            index, neighbors = self._indexed(rows, sizes, rng)
            pairs = pairs_of(index, neighbors, sizes, rng)
            graph = _graph_of(pairs.near)
            data = None
            if needs_rows(init):  # an estimator knows the rows as they were given
                data = (rows if isinstance(init, str) else source).rows(0, source.n_rows)
            start = first_layout(init, settings.n_components, data, graph.matrix, rng)
            if not isinstance(init, np.ndarray):
                start *= WIDTH / SPREAD
            self._descend(pairs, start, settings, journal)
            self.pairs_, self.affinities_, self.neighbors_ = pairs, graph, neighbors
            self._index = index
        return self

    @by_blocks
    def transform(self, X: Any) -> np.ndarray:
        """Places of new rows in the layout, which stays as it is.

        Every new row begins at the mean of its near partners' places and goes to where the sum of
        ``d / (10 + d)`` to them is least: each step is to their mean with the weights ``1 / (10 +
        d)^2``, which never adds to it. No new row depends on others, so neither their order nor how
        they are split into calls matters. Rows of the fit come out near their places, not at them.

        Parameters
        ----------
        X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (m, D)
            New rows; with ``metric="precomputed"`` their distances to the rows of the fit, (m, N).

        Returns
        -------
        ndarray of shape (m, c), float32
        """
        index = self._fitted_index()
        source = read_rows(self, X, reset=False)
        rows = self._reduced(source)
        n_near = self.pairs_.near.shape[1]
        sought = min(self.neighbors_.n_neighbors, index.n_points)
        near = nearest_scaled(index.query(rows, sought), local_scales(self.neighbors_), n_near)
        return _settled(self.embedding_.astype(np.float64)[near]).astype(np.float32)

    def _has_rows(self) -> bool:
        return bool(self.metric != "precomputed")

    def _reduction(
        self, source: RowSource, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Leading axes of rows with many columns, (D, 100), and their mean."""
        k = min(MANY_COLUMNS, source.n_rows)
        if not (self.apply_pca and self._has_rows() and source.n_cols > k):
            return None
        model = PCA(k, tol=REDUCTION_TOL, device=self.device, random_state=rng).fit(source)
        return np.ascontiguousarray(model.components_.T), model.mean_

    def _reduced(self, source: RowSource) -> RowSource:
        if self.reduction_ is None:
            return source
        return as_rows(coordinates(source, *self.reduction_))

    def _indexed(
        self, rows: RowSource, sizes: PairNumbers, rng: np.random.Generator
    ) -> tuple[NeighborIndex, Neighbors]:
        given = isinstance(self.neighbors, Neighbors)
        method = "exact" if given else check_in(self.neighbors, "neighbors", SEARCHES)
        index = NeighborIndex(
            rows,
            metric=self.metric,
            method=method,
            random_state=rng,
            n_jobs=self.n_jobs,
            device=self.device,
        )
        if given:
            return index, self.neighbors
        return index, index.neighbors(sizes.n_sought(index.n_points))

    def _descend(
        self, pairs: Pairs, start: np.ndarray, settings: _Settings, journal: Journal
    ) -> None:
        looks = sum(settings.lengths) // settings.every
        with (
            Crew(self.n_jobs if len(start) > FEW else 1) as crew,
            reports(looks, description="PaCMAP", enabled=bool(self.verbose)) as report,
        ):
            descent = self._descent(pairs, start, settings, crew)
            watch = Watch(settings.callbacks, settings.every, report)
            course = descent.run(settings.lengths, watch, journal)
        self.embedding_ = descent.layout
        course.tell(self)

    def _descent(
        self, pairs: Pairs, start: np.ndarray, settings: _Settings, crew: Crew
    ) -> PairSteps:
        """By compiled loops, or by torch on another device."""
        if settings.device.type != "cpu":
            from lowdim.embedding._pacmap.torch_descent import TorchDescent

            return TorchDescent(pairs, start, rate=settings.rate, device=settings.device)
        from lowdim.embedding._pacmap.descent import Descent

        return Descent(pairs, start, rate=settings.rate, crew=crew)


@dataclass(frozen=True)
class _Settings:
    """Numbers of a fit, as `PaCMAP` explains them."""

    n_components: int
    n_neighbors: int | None
    ratios: tuple[float, float]
    rate: float
    lengths: tuple[int, ...]
    callbacks: tuple[Callable[..., Any], ...]
    every: int
    device: torch.device

    @classmethod
    def of(cls, model: PaCMAP) -> _Settings:
        n_neighbors, lengths = model.n_neighbors, model.num_iters
        if isinstance(lengths, Integral):
            lengths = (100, 100, lengths)
        if not isinstance(lengths, Sequence) or len(lengths) != 3:
            raise ValueError(
                f"num_iters={lengths!r} is neither one number nor three; pass the iterations of "
                "the three phases, such as (100, 100, 250)."
            )
        return cls(
            n_components=check_positive_int(model.n_components, "n_components"),
            n_neighbors=None
            if n_neighbors is None
            else check_positive_int(n_neighbors, "n_neighbors"),
            ratios=(
                check_interval(model.MN_ratio, "MN_ratio", low=0.0),
                check_interval(model.FP_ratio, "FP_ratio", low=0.0),
            ),
            rate=check_positive(model.lr, "lr"),
            lengths=tuple(check_positive_int(n, "num_iters", minimum=0) for n in lengths),
            callbacks=check_callbacks(model.callbacks),
            every=check_positive_int(model.callbacks_every, "callbacks_every"),
            device=resolve_device(model.device),
        )

    def sizes(self, n_rows: int) -> PairNumbers:
        """Partners of each of so many rows."""
        k = self.n_neighbors
        if k is None:
            k = 10 + round(15 * max(0.0, math.log10(n_rows / FEW_ROWS)))
        numbers = PairNumbers.of(k, *self.ratios)
        numbers.check(n_rows)
        return numbers


def _graph_of(near: np.ndarray) -> Graph:
    """Near pairs in both directions, with a weight of one half each."""
    matrix = rows_to_csr(near, np.ones(near.shape, np.float32), len(near))
    return Graph(mean_of_both(matrix))


def _settled(partners: np.ndarray) -> np.ndarray:
    """Where the loss of near pairs is least, (m, c), for the places of partners, (m, k, c)."""
    places = partners.mean(1)
    for _ in range(STEPS):
        squares = ((partners - places[:, None]) ** 2).sum(2)
        weights = (11.0 + squares) ** -2.0
        weights /= weights.sum(1, keepdims=True)
        places = np.einsum("mk,mkc->mc", weights, partners)
    return places
