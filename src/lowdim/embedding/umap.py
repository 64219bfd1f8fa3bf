"""Uniform manifold approximation and projection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse as sp

from lowdim._device import resolve_device
from lowdim._journal import LongFit
from lowdim._random import generator
from lowdim._validation import check_in, check_interval, check_positive
from lowdim.affinities import Graph, PrecomputedAffinity, UMAPAffinity
from lowdim.data.estimator_rows import read_rows
from lowdim.embedding._base import Found, NeighborLayout
from lowdim.embedding._by_blocks import by_blocks
from lowdim.embedding._crew import Crew
from lowdim.embedding._edges.fit import REACH, EdgeSettings, descend, settle
from lowdim.embedding._edges.radii import local_radii
from lowdim.embedding._edges.similarity import Similarity, curve_of
from lowdim.embedding._edges.targets import (
    METRICS,
    by_category,
    by_numbers,
    categories,
    memberships_of_numbers,
    numbers,
)
from lowdim.embedding._initial import check_init, first_layout, needs_rows

if TYPE_CHECKING:
    import torch

    from lowdim._typing import PathLike


class UMAP(NeighborLayout):
    """A layout in which near rows stay near and groups stand apart: UMAP.

    Rows have fuzzy memberships ``w_ij`` in each other's neighbourhoods, points of the layout
    similarities ``v_ij = 1 / (1 + a r_ij^2b)``, and the layout makes the cross-entropy of the two
    small: edges attract in proportion to their membership, and each time one does, a few random
    points repel (McInnes, Healy and Melville 2018). Where umap-learn moves one pair after another,
    all rows move at once here, by a shorter step and in more epochs. The same seed gives the same
    layout, whatever the number of threads.

    Parameters
    ----------
    n_components : int, default=2
    n_neighbors : int, default=15
        Neighbours of a row, itself among them. More show larger structure. All rows where there are
        fewer.
    min_dist : float, default=0.1
        How near to each other points may lie; not more than the spread.
    spread : float, default=1.0
        Scale of the layout.
    n_epochs : int, optional
        500 by default, 300 above 10,000 rows.
    learning_rate : float, default=1.0
        Length of the first steps, relative to an eighth of umap-learn's.
    init : {"auto", "spectral", "pca", "random"}, estimator or array of shape (N, c), \
default="spectral"
        Where to begin: Laplacian eigenmaps of the graph (of each of its pieces, if there are
        several, side by side), principal components, or the coordinates of an estimator with
        `transform` (of a `SubspaceMixture` the principal components of what it reconstructs), with
        10 as the largest coordinate; or given places, as they are. "auto" is "pca", or "spectral"
        where only distances or a graph are known.
    negative_sample_rate : int, default=5
        Random points that repel a row each time that one of its edges attracts it.
    repulsion_strength : float, default=1.0
        Weight of that.
    set_op_mix_ratio, local_connectivity : float, default=1.0
        As of `lowdim.affinities.UMAPAffinity`.
    a, b : float, optional
        Of the similarity, in place of `min_dist` and `spread`.
    densmap : bool, default=False
        Also let the local radii of points go with those of rows: densMAP (Narayan, Berger and Cho
        2021).
    dens_lambda : float, default=2.0
        Weight of that.
    dens_frac : float, default=0.3
        Share of the epochs, the last ones, in which it acts.
    dens_var_shift : float, default=0.1
        Added to the variance of the logarithms of radii in the layout.
    target_metric : {"categorical", "l2", "l1", "euclidean", "manhattan", None}, \
default="categorical"
        What is made of y, if `fit` is given any. Of labels: edges between rows of different labels
        are weakened. Of numbers, by a distance of them: edges are kept as far as rows are
        neighbours by their numbers too. None passes over y.
    target_weight : float, default=0.5
        0 heeds the rows alone, 1 the labels or numbers alone.
    metric : str, default="euclidean"
        As of `lowdim.neighbors.NeighborIndex`. With "precomputed" X holds distances, (N, N): all of
        them, or a sparse matrix of those to neighbours, such as ``adata.obsp["distances"]``.
    neighbors : {"auto", "exact", "approximate", "faiss"} or Neighbors, default="auto"
        How neighbours are sought, or what they are.
    affinity : None, "precomputed" or an object of `lowdim.affinities`, default=None
        What makes memberships of neighbours: None is `UMAPAffinity`. With "precomputed" X is a
        graph, (N, N), such as ``adata.obsp["connectivities"]``.
    callbacks : callable or sequence of these, optional
        Called with the number of epochs, the layout and an estimate of its loss; one that returns
        true ends the fit.
    callbacks_every : int, default=50
        Epochs between calls.
    device : str or torch.device, default="cpu"
        Where neighbours and the layout are found: "cpu" by compiled loops, "cuda" by torch, "auto"
        on a GPU if there is one. `transform` places new rows there too.
    n_jobs : int, optional
        Threads: as many as torch has for None, one per core for -1.
    random_state : int, Generator or RandomState, optional
    checkpoint : str or Path, optional
        A file to keep the descent in every few epochs, as of `lowdim.TSNE`.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    embedding_ : ndarray of shape (N, c), float32
    affinities_ : Graph
        Memberships, as y has left them.
    neighbors_ : Neighbors or None
    a_, b_ : float
    radii_ : ndarray of shape (N,) or None
        With `densmap`, logarithms of the local radii of rows.
    n_iter_ : int
        Epochs.
    stop_reason_ : str
        "limit", "callback" or "interrupted" (from the keyboard; the layout is the one reached by
        then).
    history_ : dict of lists
        ``iteration`` and ``loss``, nan without callbacks or a progress bar.
    n_features_in_ : int

    References
    ----------
    McInnes, Healy and Melville (2018), UMAP: uniform manifold approximation and projection for
    dimension reduction. Damrich and Hamprecht (2021), On UMAP's true loss function. Narayan, Berger
    and Cho (2021), Assessing single-cell transcriptomic variability through density-preserving data
    visualization.

    Examples
    --------
    >>> import numpy as np, lowdim as ld
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(size=(50, 5)), rng.normal(size=(50, 5)) + 9])
    >>> ld.UMAP(random_state=0).fit_transform(X).shape
    (100, 2)
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        n_neighbors: int = 15,
        min_dist: float = 0.1,
        spread: float = 1.0,
        n_epochs: int | None = None,
        learning_rate: float = 1.0,
        init: Any = "spectral",
        negative_sample_rate: int = 5,
        repulsion_strength: float = 1.0,
        set_op_mix_ratio: float = 1.0,
        local_connectivity: float = 1.0,
        a: float | None = None,
        b: float | None = None,
        densmap: bool = False,
        dens_lambda: float = 2.0,
        dens_frac: float = 0.3,
        dens_var_shift: float = 0.1,
        target_metric: str | None = "categorical",
        target_weight: float = 0.5,
        metric: str = "euclidean",
        neighbors: Any = "auto",
        affinity: Any = None,
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
        self.min_dist = min_dist
        self.spread = spread
        self.n_epochs = n_epochs
        self.learning_rate = learning_rate
        self.init = init
        self.negative_sample_rate = negative_sample_rate
        self.repulsion_strength = repulsion_strength
        self.set_op_mix_ratio = set_op_mix_ratio
        self.local_connectivity = local_connectivity
        self.a, self.b = a, b
        self.densmap = densmap
        self.dens_lambda, self.dens_frac = dens_lambda, dens_frac
        self.dens_var_shift = dens_var_shift
        self.target_metric = target_metric
        self.target_weight = target_weight
        self.metric = metric
        self.neighbors = neighbors
        self.affinity = affinity
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
            Rows; or distances or a graph, (N, N), as `metric` and `affinity` say.
        y : array-like of shape (N,) or (N, q), optional
            Labels, -1 or missing where they are unknown; or numbers, one or more of each row; see
            `target_metric`.

        Returns
        -------
        The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            An argument or the data cannot be used.
        """
        settings = self._settings()
        similarity = self._similarity()
        self._check_density()
        weight = check_interval(self.target_weight, "target_weight", low=0.0, high=1.0)
        source = read_rows(self, X)
        init = check_init(
            self.init, source.n_rows, settings.n_components, has_rows=self._has_rows()
        )
        known = self._known(y, source.n_rows)
        with LongFit(self, source, generator(self.random_state), {"y": y}) as journal:
            rng = journal.rng
            found = self._found(source, rng)
            graph = found.graph if known is None else self._heeding(found.graph, known, weight, rng)
            radii = self._local_radii(found) if self.densmap else None
            rows = source.rows(0, source.n_rows) if needs_rows(init) else None
            start = first_layout(init, settings.n_components, rows, graph.matrix, rng, reach=REACH)
            rates = graph.matrix / max(float(graph.matrix.data.max(initial=0.0)), 1e-30)
            density = None if radii is None else self._density(radii, rates, similarity)
            descend(self, rates, start, similarity, settings, journal, density)
            self.a_, self.b_, self.radii_ = similarity.a, similarity.b, radii
            self._remember(replace(found, graph=graph))
        return self

    @by_blocks
    def transform(self, X: Any, *, n_epochs: int = 100) -> np.ndarray:
        """Places of new rows in the layout, which stays as it is.

        Every new row begins at the mean of its neighbours' places, by its memberships; then its
        edges attract it and random points of the fit repel it, as in the fit. No new row depends on
        others, so neither their order nor how they are split into calls matters. Rows of the fit
        come out near their places, not at them.

        Parameters
        ----------
        X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (m, D)
            New rows; with ``metric="precomputed"`` their distances to the rows of the fit, (m, N).
        n_epochs : int, default=100

        Returns
        -------
        ndarray of shape (m, c), float32

        Raises
        ------
        ValueError
            The fit was to a graph or to given neighbours, of which new rows have none.
        """
        index = self._fitted_index()
        settings, similarity = self._settings(), Similarity(self.a_, self.b_, self._strength())
        source = read_rows(self, X, reset=False)
        affinity = self._affinity() if self.affinity is None else self.affinity
        found = index.query(source, affinity.n_neighbors_for(index.n_points))
        weights = _up_to_one(sp.csr_matrix(affinity.conditional(found)))
        return settle(self, weights, similarity, settings, n_epochs)

    def _affinity(self) -> UMAPAffinity:
        return UMAPAffinity(
            self.n_neighbors,
            set_op_mix_ratio=self.set_op_mix_ratio,
            local_connectivity=self.local_connectivity,
        )

    def _precomputed(self) -> PrecomputedAffinity:
        return PrecomputedAffinity(normalize=False)

    def _settings(self) -> EdgeSettings:
        return EdgeSettings.of(self, epochs="n_epochs", negatives="negative_sample_rate")

    def _strength(self) -> float:
        return check_interval(self.repulsion_strength, "repulsion_strength", low=0.0)

    def _similarity(self) -> Similarity:
        """By a and b, or else by the least distance and the spread.

        Raises
        ------
        ValueError
            One of these cannot be used, or only one of a and b is given.
        """
        if (self.a is None) != (self.b is None):
            raise ValueError(f"a={self.a} and b={self.b}; pass both, or neither.")
        if self.a is not None:
            a, b = (check_positive(getattr(self, name), name) for name in ("a", "b"))
        else:
            spread = check_positive(self.spread, "spread")
            a, b = curve_of(check_interval(self.min_dist, "min_dist", low=0.0, high=spread), spread)
        return Similarity(a, b, self._strength())

    def _check_density(self) -> None:
        check_interval(self.dens_lambda, "dens_lambda", low=0.0)
        check_interval(self.dens_frac, "dens_frac", low=0.0, high=1.0)
        check_interval(self.dens_var_shift, "dens_var_shift", low=0.0)

    def _density(
        self, radii: np.ndarray, rates: sp.csr_matrix, similarity: Similarity
    ) -> Callable[[Crew, int, torch.device], Any]:
        """What makes the force that densMAP adds."""

        def force(crew: Crew, n_epochs: int, device: torch.device) -> Any:
            numbers = self.dens_lambda, self.dens_var_shift, int(n_epochs * (1 - self.dens_frac))
            if device.type != "cpu":
                from lowdim.embedding._edges.torch_density import TorchDensityForce

                return TorchDensityForce(radii, rates, similarity, *numbers, device)
            from lowdim.embedding._edges.density import DensityForce

            return DensityForce(radii, rates, similarity, *numbers, crew)

        return force

    def _known(self, y: Any, n_rows: int) -> np.ndarray | None:
        """Labels, (N,), or numbers, (N, q), that the layout is to heed."""
        if self.target_metric is None:
            return None
        check_in(self.target_metric, "target_metric", ("categorical", *METRICS))
        if y is None:
            return None
        return categories(y, n_rows) if self.target_metric == "categorical" else numbers(y, n_rows)

    def _heeding(
        self, graph: Graph, known: np.ndarray, weight: float, rng: np.random.Generator
    ) -> Graph:
        """The graph as labels or numbers leave it."""
        if self.target_metric == "categorical":
            return by_category(graph, known, weight)
        device = resolve_device(self.device)
        given = str(self.target_metric), int(self.n_neighbors), rng, self.n_jobs, device
        return by_numbers(graph, memberships_of_numbers(known, *given), weight)

    def _local_radii(self, found: Found) -> np.ndarray:
        if found.neighbors is None:
            raise ValueError(
                "densmap=True needs distances, and only a graph is known; pass rows, or distances "
                "with metric='precomputed'."
            )
        return local_radii(found.graph.matrix, found.neighbors)


def _up_to_one(weights: sp.csr_matrix) -> sp.csr_matrix:
    """Weights as shares of the largest of their row, which does not depend on other rows."""
    largest = np.maximum(weights.max(axis=1).toarray().ravel(), np.float32(1e-30))
    return sp.csr_matrix(sp.diags(1.0 / largest) @ weights)
