"""Neighbour embedding in the Poincare ball."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from lowdim._validation import check_interval, check_positive
from lowdim.affinities import EntropicAffinity
from lowdim.data.sources import RowSource
from lowdim.embedding._base import NeighborLayout
from lowdim.embedding._by_blocks import by_blocks
from lowdim.embedding._pairs.layout import begin, check_affinity, lay_out, place_rows
from lowdim.embedding.output_affinities import NormalizedHyperbolicAffinity

if TYPE_CHECKING:
    from lowdim._typing import PathLike


class COSNE(NeighborLayout):
    """A layout in the Poincare ball, where near rows stay near and hierarchies have room: CO-SNE.

    Similarities of points are ``q_ij ~ 1 / (1 + d_ij^2 / g^2)`` with distances d in the ball, whose
    room grows exponentially from the centre. The layout minimises ``KL(P || Q) + h mean_i (t_i -
    d(z_i, 0)^2)^2``, where t are squared distances of rows from their mean, scaled: rows that are
    near the mean stay near the centre. All pairs of points are summed over: for up to some 20,000
    rows. The same seed gives the same layout, whatever the number of threads.

    Parameters
    ----------
    n_components : int, default=2
    perplexity : float, default=30.0
        Effective number of neighbours of each row; less than N.
    gamma : float, default=0.5
        g.
    learning_rate_for_h_loss : float, default=0.01
        h, the weight of the distances from the centre.
    radius : float, default=2.0
        Root mean square of those that are aimed at, as distances in the ball.
    lr : float or "auto", default="auto"
        Learning rate; for ``optimizer="auto"`` a factor of 0.05, about the length of a step in the
        ball.
    optimizer : "auto", str or class, default="auto"
        Adam along geodesics, or one of `torch.optim`, as of `NeighborEmbedding`.
    optimizer_kwargs, scheduler, scheduler_kwargs
        As of `NeighborEmbedding`.
    min_grad_norm : float, default=1e-7
        Stop when the gradient of N times the loss is, root mean square over points, no more.
    max_iter : int, default=500
    init : {"pca", "spectral", "random", "auto"} or array of shape (N, c), default="pca"
        Where to begin; without rows "pca" stands for "spectral".
    init_scaling : float, default=0.1
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
        ``KL(P || Q)`` and the mean over distances from the centre.
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
    Guo, Guo and Yu (2022), CO-SNE: dimensionality reduction and visualization for hyperbolic data.

    Examples
    --------
    >>> import numpy as np
    >>> from lowdim.embedding import COSNE
    >>> X = np.random.default_rng(0).normal(size=(60, 5))
    >>> COSNE(perplexity=8, max_iter=100, random_state=0).fit_transform(X).shape
    (60, 2)
    """

    _also = ("_index", "_output", "_potentials", "_term")

    def __init__(
        self,
        n_components: int = 2,
        *,
        perplexity: float = 30.0,
        gamma: float = 0.5,
        learning_rate_for_h_loss: float = 0.01,
        radius: float = 2.0,
        lr: Any = "auto",
        optimizer: Any = "auto",
        optimizer_kwargs: Any = None,
        scheduler: Any = "constant",
        scheduler_kwargs: Any = None,
        min_grad_norm: float = 1e-7,
        max_iter: int = 500,
        init: Any = "pca",
        init_scaling: float = 0.1,
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
        self.gamma = gamma
        self.learning_rate_for_h_loss = learning_rate_for_h_loss
        self.radius = radius
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
            Without rows nothing is aimed at: h is zero.
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
        output = NormalizedHyperbolicAffinity(self.gamma).checked()
        weight = check_interval(self.learning_rate_for_h_loss, "learning_rate_for_h_loss", low=0.0)
        radius = check_positive(self.radius, "radius")
        affinity = self._affinity() if self.affinity is None else self.affinity
        with begin(self, X, check_affinity(affinity, "affinity"), in_ball=True) as start:
            term = None
            if weight > 0 and self._has_rows():
                term = CentreTerm.of(start.source, radius, weight)
            lay_out(self, start, output, term)
            self._term = term
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

        Every new row goes to where its own part of the loss is least; none depends on others.

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
        check_is_fitted(self)
        return place_rows(
            self,
            X,
            perplexity=perplexity,
            exaggeration=exaggeration,
            learning_rate=learning_rate,
            n_iter=n_iter,
            term=self._term,
        )

    def _affinity(self) -> EntropicAffinity:
        return EntropicAffinity(self.perplexity)


@dataclass(frozen=True)
class CentreTerm:
    """``h mean_i (t_i - d(z_i, 0)^2)^2``, t being scaled squared distances of rows from their mean.

    Attributes
    ----------
    mean : (D,)
    scale : float
        Of squared distances.
    weight : float
        h.
    targets : (N,)
        t.
    """

    mean: np.ndarray
    scale: float
    weight: float
    targets: np.ndarray

    @classmethod
    def of(cls, source: RowSource, radius: float, weight: float) -> CentreTerm:
        """The term of the rows of a fit, whose mean target is the square of the radius."""
        rows = source.rows(0, source.n_rows)
        mean = np.asarray(rows.mean(0), dtype=np.float64).ravel()
        squares = _squares(rows, mean)
        average = float(squares.mean())
        scale = radius**2 / average if average > 0 else 0.0
        return cls(mean, scale, weight, squares * scale)

    def targets_of(self, source: RowSource) -> np.ndarray:
        """T of new rows, (m,)."""
        return _squares(source.rows(0, source.n_rows), self.mean) * self.scale

    def loss(self, Y: np.ndarray) -> float:
        """The term of a layout."""
        distances, _ = _from_centre(Y)
        return self.weight * float(np.square(self.targets - distances**2).mean())

    def gradient(self, Y: np.ndarray) -> np.ndarray:
        """Its gradient, (N, c)."""
        distances, lengths = _from_centre(Y)
        slopes = -8.0 * self.weight * (self.targets - distances**2) * distances
        slopes /= len(Y) * lengths * (1.0 - lengths**2)
        return np.asarray(slopes[:, None] * Y)


def _from_centre(Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances from the centre of the ball, and lengths."""
    lengths = np.maximum(np.linalg.norm(np.asarray(Y, np.float64), axis=1), 1e-12)
    return 2.0 * np.arctanh(lengths), lengths


def _squares(rows: Any, mean: np.ndarray) -> np.ndarray:
    """Squared distances of rows from their mean, (N,), sparse ones without making them dense."""
    if isinstance(rows, np.ndarray):
        return np.asarray(np.square(rows - mean).sum(1), dtype=np.float64)
    own = np.asarray(rows.multiply(rows).sum(1), dtype=np.float64).ravel()
    return np.asarray(np.maximum(own - 2.0 * (rows @ mean) + mean @ mean, 0.0))
