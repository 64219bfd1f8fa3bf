"""LargeVis: neighbours attract, random points repel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from lowdim._journal import LongFit
from lowdim._random import generator
from lowdim._validation import check_interval
from lowdim.affinities import EntropicAffinity
from lowdim.data.estimator_rows import read_rows
from lowdim.embedding._base import NeighborLayout
from lowdim.embedding._by_blocks import by_blocks
from lowdim.embedding._edges.fit import REACH, EdgeSettings, descend, settle
from lowdim.embedding._edges.similarity import Similarity
from lowdim.embedding._initial import check_init, first_layout, needs_rows

if TYPE_CHECKING:
    from lowdim._typing import PathLike

#: How often the edges of a row fire in an epoch, on average.
FIRES = 12.0
#: Added to squared distances in repulsion, as in the authors' program.
SOFTNESS = 0.1


class LargeVis(NeighborLayout):
    """A layout of many rows in which near ones stay near: LargeVis.

    Rows have affinities ``p_ij``, those of t-SNE, points of the layout similarities ``v_ij = 1 / (1
    + r_ij^2)``. The layout makes ``-sum_ij p_ij (log v_ij + n_negatives repulsion_strength mean_k
    log(1 - v_ik))`` small, with random points k (Tang and others 2016). All rows move at once. The
    same seed gives the same layout, whatever the number of threads.

    Parameters
    ----------
    n_components : int, default=2
    perplexity : float, default=30.0
        Effective number of neighbours of each row; less than N.
    n_negatives : int, default=5
        Random points that repel a row each time that one of its edges attracts it.
    repulsion_strength : float, default=7.0
        Weight of that.
    learning_rate : float, default=1.0
        Length of the first steps.
    max_iter : int, default=300
        Epochs, in each of which a row is attracted 12 times on average.
    init : {"auto", "pca", "spectral", "random"}, estimator or array of shape (N, c), default="auto"
        Where to begin, as of `lowdim.UMAP`.
    metric, neighbors
        As of `lowdim.TSNE`.
    affinity : None, "precomputed" or an object of `lowdim.affinities`, default=None
        What makes affinities of neighbours: None is `EntropicAffinity` with the perplexity. With
        "precomputed" X is a graph, (N, N), such as ``adata.obsp["connectivities"]``.
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
        P.
    neighbors_ : Neighbors or None
    n_iter_ : int
    stop_reason_ : str
        "limit", "callback" or "interrupted" (from the keyboard; the layout is the one reached by
        then).
    history_ : dict of lists
        ``iteration`` and ``loss``, nan without callbacks or a progress bar.
    n_features_in_ : int

    References
    ----------
    Tang, Liu, Zhang and Mei (2016), Visualizing large-scale and high-dimensional data.

    Examples
    --------
    >>> import numpy as np, lowdim as ld
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(size=(50, 5)), rng.normal(size=(50, 5)) + 9])
    >>> ld.LargeVis(perplexity=10, random_state=0).fit_transform(X).shape
    (100, 2)
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        perplexity: float = 30.0,
        n_negatives: int = 5,
        repulsion_strength: float = 7.0,
        learning_rate: float = 1.0,
        max_iter: int = 300,
        init: Any = "auto",
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
        self.perplexity = perplexity
        self.n_negatives = n_negatives
        self.repulsion_strength = repulsion_strength
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.init = init
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
        y : ignored

        Returns
        -------
        The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            An argument or the data cannot be used.
        """
        settings, similarity = self._settings(), self._similarity()
        source = read_rows(self, X)
        init = check_init(
            self.init, source.n_rows, settings.n_components, has_rows=self._has_rows()
        )
        given = {"max_iter": self.max_iter}  # steps become shorter towards the end
        with LongFit(self, source, generator(self.random_state), given) as journal:
            rng = journal.rng
            found = self._found(source, rng)
            P = found.graph.matrix
            rows = source.rows(0, source.n_rows) if needs_rows(init) else None
            start = first_layout(init, settings.n_components, rows, P, rng, reach=REACH)
            rates = P * np.float32(FIRES * source.n_rows / P.sum(dtype=np.float64))
            descend(self, rates, start, similarity, settings, journal)
            self._remember(found)
        return self

    @by_blocks
    def transform(self, X: Any, *, perplexity: float = 5.0, n_epochs: int = 100) -> np.ndarray:
        """Places of new rows in the layout, which stays as it is.

        Every new row begins at the mean of its neighbours' places, by its affinities; then its
        edges attract it and random points of the fit repel it, as in the fit. No new row depends on
        others, so neither their order nor how they are split into calls matters. Rows of the fit
        come out near their places, not at them.

        Parameters
        ----------
        X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (m, D)
            New rows; with ``metric="precomputed"`` their distances to the rows of the fit, (m, N).
        perplexity : float, default=5.0
            Effective number of neighbours of a new row.
        n_epochs : int, default=100

        Returns
        -------
        ndarray of shape (m, c), float32

        Raises
        ------
        ValueError
            The fit was to a graph or to given neighbours, of which new rows have none.
        """
        settings, similarity = self._settings(), self._similarity()
        weights = self._entropic_shares(X, perplexity) * np.float32(FIRES)
        return settle(self, weights, similarity, settings, n_epochs)

    def _affinity(self) -> EntropicAffinity:
        return EntropicAffinity(self.perplexity)

    def _settings(self) -> EdgeSettings:
        return EdgeSettings.of(self, epochs="max_iter", negatives="n_negatives")

    def _similarity(self) -> Similarity:
        strength = check_interval(self.repulsion_strength, "repulsion_strength", low=0.0)
        return Similarity(1.0, 1.0, strength, SOFTNESS)
