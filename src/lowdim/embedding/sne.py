"""Stochastic neighbour embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from lowdim.affinities import EntropicAffinity
from lowdim.embedding._base import NeighborLayout
from lowdim.embedding._by_blocks import by_blocks
from lowdim.embedding._pairs.layout import begin, check_affinity, lay_out, place_rows
from lowdim.embedding.output_affinities import NormalizedGaussianAffinity

if TYPE_CHECKING:
    from lowdim._typing import PathLike

#: With which ``exp(-r^2 / 2 s^2)`` is ``exp(-r^2)``.
BANDWIDTH = 0.5**0.5


class SNE(NeighborLayout):
    """A layout in which near rows stay near, with Gaussian similarities of points: SNE.

    Each row has affinities ``p_j|i`` to others, each point of the layout similarities ``q_j|i =
    exp(-r_ij^2) / sum_k exp(-r_ik^2)``, and the layout minimises the mean of ``KL(p_i || q_i)``
    over rows. Without heavy tails groups stay close together, and what is continuous stays so. All
    pairs of points are summed over: for up to some 20,000 rows. The same seed gives the same
    layout, whatever the number of threads.

    Parameters
    ----------
    n_components : int, default=2
    perplexity : float, default=30.0
        Effective number of neighbours of each row; less than N.
    symmetric : bool, default=False
        Whether both affinities are joint ones, which sum to one over all pairs: symmetric SNE.
    lr : float or "auto", default="auto"
        Learning rate; for ``optimizer="auto"`` a factor of N / 4 over the exaggeration.
    optimizer : "auto", str or class, default="auto"
        Momentum and gains as of t-SNE, or one of `torch.optim`, as of `NeighborEmbedding`.
    optimizer_kwargs, scheduler, scheduler_kwargs
        As of `NeighborEmbedding`.
    min_grad_norm : float, default=1e-7
        Stop when the gradient of N times the loss is, root mean square over points, no more.
    max_iter : int, default=500
    init : {"pca", "spectral", "random", "auto"} or array of shape (N, c), default="pca"
        Where to begin; without rows "pca" stands for "spectral".
    init_scaling : float, default=1e-4
        Standard deviation of the first layout along its first axis, unless it is given.
    early_exaggeration_coeff : float, default=1.0
        Weight of the attraction at first.
    early_exaggeration_iter : int, optional
        Iterations of that: 250 unless given.
    affinity : None, "precomputed" or an object of `lowdim.affinities`, default=None
        P: None is `EntropicAffinity` with the perplexity. With "precomputed" X is a graph, (N, N).
    metric, neighbors, callbacks, callbacks_every, n_jobs, random_state, checkpoint, verbose
        As of `lowdim.TSNE`; callbacks are given the loss.
    device, backend
        As of `NeighborEmbedding`.

    Attributes
    ----------
    embedding_ : ndarray of shape (N, c), float32
    loss_ : float
        ``KL(P || Q)``, up to a constant unless `symmetric`.
    affinities_ : Graph
    neighbors_ : Neighbors or None
    n_iter_ : int
    stop_reason_ : str
        "limit", "gradient", "callback" or "interrupted".
    history_ : dict of lists
        ``iteration``, ``gradient_norm``, ``loss``, ``learning_rate``, ``momentum`` at each look.
    n_features_in_ : int

    References
    ----------
    Hinton and Roweis (2002), Stochastic neighbor embedding. Cook, Sutskever, Mnih and Hinton
    (2007), Visualizing similarity data with a mixture of maps (symmetric SNE).

    Examples
    --------
    >>> import numpy as np
    >>> from lowdim.embedding import SNE
    >>> X = np.random.default_rng(0).normal(size=(60, 5))
    >>> SNE(perplexity=8, max_iter=100, random_state=0).fit_transform(X).shape
    (60, 2)
    """

    _also = ("_index", "_output", "_potentials")

    def __init__(
        self,
        n_components: int = 2,
        *,
        perplexity: float = 30.0,
        symmetric: bool = False,
        lr: Any = "auto",
        optimizer: Any = "auto",
        optimizer_kwargs: Any = None,
        scheduler: Any = "constant",
        scheduler_kwargs: Any = None,
        min_grad_norm: float = 1e-7,
        max_iter: int = 500,
        init: Any = "pca",
        init_scaling: float = 1e-4,
        early_exaggeration_coeff: float = 1.0,
        early_exaggeration_iter: int | None = None,
        affinity: Any = None,
        metric: str = "euclidean",
        neighbors: Any = "auto",
        device: Any = "auto",
        backend: str | None = None,
        callbacks: Any = None,
        callbacks_every: int = 50,
        n_jobs: int | None = None,
        random_state: Any = None,
        checkpoint: PathLike | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.perplexity = perplexity
        self.symmetric = symmetric
        self.lr = lr
        self.optimizer = optimizer
        self.optimizer_kwargs = optimizer_kwargs
        self.scheduler = scheduler
        self.scheduler_kwargs = scheduler_kwargs
        self.min_grad_norm = min_grad_norm
        self.max_iter = max_iter
        self.init = init
        self.init_scaling = init_scaling
        self.early_exaggeration_coeff = early_exaggeration_coeff
        self.early_exaggeration_iter = early_exaggeration_iter
        self.affinity = affinity
        self.metric = metric
        self.neighbors = neighbors
        self.device = device
        self.backend = backend
        self.callbacks = callbacks
        self.callbacks_every = callbacks_every
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
            An argument or the data cannot be used; the learning rate was too large; or the
            checkpoint is of another fit.

        Warns
        -----
        ConvergenceWarning
            Ctrl-C has ended the fit; the layout is the one reached by then.
        """
        affinity = self._affinity() if self.affinity is None else self.affinity
        over = "all" if self.symmetric else "rows"
        with begin(self, X, check_affinity(affinity, "affinity")) as start:
            lay_out(self, start, NormalizedGaussianAffinity(BANDWIDTH, normalization=over))
        return self

    @by_blocks
    def transform(
        self,
        X: Any,
        *,
        perplexity: float = 5.0,
        exaggeration: float = 1.5,
        learning_rate: float = 0.1,
        n_iter: int = 250,
    ) -> np.ndarray:
        """Places of new rows in the layout, which stays as it is.

        Every new row goes to where its own ``KL(p || q)`` is least; none depends on others.

        Parameters
        ----------
        X, perplexity, exaggeration, learning_rate, n_iter
            As of `lowdim.TSNE.transform`.

        Returns
        -------
        ndarray of shape (m, c), float32

        Raises
        ------
        ValueError
            The fit was to a graph or to given neighbours, of which new rows have none.
        """
        return place_rows(
            self,
            X,
            perplexity=perplexity,
            exaggeration=exaggeration,
            learning_rate=learning_rate,
            n_iter=n_iter,
        )

    def _affinity(self) -> EntropicAffinity:
        return EntropicAffinity(self.perplexity)
