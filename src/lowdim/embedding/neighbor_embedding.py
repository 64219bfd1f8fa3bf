"""The general neighbour embedding: any affinities of rows, any affinities of points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils.metaestimators import available_if

from lowdim._validation import check_in
from lowdim.affinities import EntropicAffinity
from lowdim.embedding._base import NeighborLayout
from lowdim.embedding._by_blocks import by_blocks
from lowdim.embedding._pairs.layout import begin, check_affinity, lay_out, place_rows, remember
from lowdim.embedding._pairs.settings import check_backend
from lowdim.embedding.output_affinities import NAMES, NormalizedKernelAffinity, OutputAffinity

if TYPE_CHECKING:
    from lowdim._typing import PathLike


class NeighborEmbedding(NeighborLayout):
    """A layout whose affinities Q are like those of the rows, P, for any pair of affinities.

    It minimises ``-w sum_ij P_ij log k_ij + V``, where k is the kernel of points of the layout and
    V the logarithm of what makes affinities Q of it: ``KL(P || Q)`` up to a constant, with the
    attraction exaggerated by w at first. All pairs of points are summed over, in a time that grows
    with the square of N: for up to some 20,000 rows. No N x N array is made.

    Parameters
    ----------
    affinity_in : an object of `lowdim.affinities`, or "precomputed"
        P. With "precomputed" X is a graph, (N, N), such as ``adata.obsp["connectivities"]``.
    affinity_out : {"student", "gaussian", "hyperbolic"}, OutputAffinity, its class, or callable
        Q: see `NormalizedStudentAffinity`, `NormalizedGaussianAffinity`,
        `NormalizedHyperbolicAffinity`, and, for a function of torch tensors,
        `NormalizedKernelAffinity`.
    kwargs_affinity_out : mapping, optional
        Parameters of the output affinity.
    n_components : int, default=2
    lr : float or "auto", default=1.0
        Learning rate. Of "SGD" it is by default N / 4w, as of t-SNE, so that it grows when
        exaggeration ends. For ``optimizer="auto"`` it is a factor of that rate, and with an encoder
        one of 0.001.
    optimizer : "auto", str or class, default="Adam"
        A name in `torch.optim`, a class, or "auto": momentum and gains as of t-SNE, or, in the
        Poincare ball, Adam along geodesics. With "auto", entropic affinities and a Student kernel
        over all pairs on the host, in up to three dimensions, the fit is that of `lowdim.TSNE`,
        whose time grows with N.
    optimizer_kwargs : mapping or "auto", optional
        With "auto", SGD has a momentum of 0.5 while attraction is exaggerated, and 0.8 after.
    scheduler : str, class or None, default="constant"
        "constant", "linear", "cosine", or one of `torch.optim.lr_scheduler`. It begins when
        exaggeration ends.
    scheduler_kwargs : mapping or "auto", optional
    min_grad_norm : float, default=1e-7
        Stop when the gradient of N times the loss is, root mean square over points, no more.
    max_iter : int, default=2000
        Iterations, with exaggerated attraction or not.
    init : {"pca", "spectral", "random", "auto"} or array of shape (N, c), default="pca"
        Where to begin, as of `lowdim.TSNE`; without rows "pca" stands for "spectral".
    init_scaling : float, default=1e-4
        Standard deviation of the first layout along its first axis, unless it is given.
    device : str, default="auto"
        "cpu", "cuda" or "auto".
    backend : {None, "blockwise", "faiss"}, default=None
        How to compute: compiled loops on the host, and torch, block by block of rows, on a device
        and for kernels that are functions. "blockwise" is torch in any case; "faiss" finds
        neighbours.
    verbose : int, default=False
        True shows a progress bar.
    random_state : int, Generator or RandomState, optional
    early_exaggeration_coeff : float, default=1.0
        w at first.
    early_exaggeration_iter : int, optional
        Iterations of that: 250 unless given.
    encoder : torch.nn.Module, optional
        What makes places of rows, (N, D) to (N, c). A copy of it, ``encoder_``, is trained on
        minibatches of pairs, in `max_iter` steps; `transform` is then its output. A file that
        `save` writes has its numbers only: after `lowdim.load`, ``set_params(encoder=...)`` takes a
        network like it. With an encoder there is also `partial_fit`.
    batch_size : int, default=512
        Pairs in a minibatch, for an encoder.
    metric, neighbors, callbacks, callbacks_every, n_jobs, checkpoint
        As of `lowdim.TSNE`; callbacks are given the loss. The file keeps an encoder too, but not
        what `partial_fit` makes of it. Functions are told by their names.

    Attributes
    ----------
    embedding_ : ndarray of shape (N, c), float32
    loss_ : float
        ``KL(P || Q)``; nan with an encoder and more than 20,000 rows.
    affinities_ : Graph
    neighbors_ : Neighbors or None
    n_iter_ : int
    stop_reason_ : str
        "limit", "gradient", "callback" or "interrupted".
    history_ : dict of lists
        ``iteration``, ``gradient_norm``, ``loss``, ``learning_rate``, ``momentum`` at each look.
    encoder_ : torch.nn.Module
        Where there is one.
    n_features_in_ : int

    References
    ----------
    Van Assel, Espinasse, Chiquet and Picard (2022), A probabilistic graph coupling view of
    dimension reduction.

    Examples
    --------
    >>> import numpy as np
    >>> from lowdim.affinities import EntropicAffinity
    >>> from lowdim.embedding import NeighborEmbedding
    >>> X = np.random.default_rng(0).normal(size=(60, 5))
    >>> model = NeighborEmbedding(EntropicAffinity(8), "gaussian", lr=0.1, max_iter=100)
    >>> model.fit_transform(X).shape
    (60, 2)
    """

    _also = ("_index", "_output", "_potentials")

    def __init__(
        self,
        affinity_in: Any,
        affinity_out: Any,
        kwargs_affinity_out: Mapping[str, Any] | None = None,
        n_components: int = 2,
        lr: Any = 1.0,
        optimizer: Any = "Adam",
        optimizer_kwargs: Any = None,
        scheduler: Any = "constant",
        scheduler_kwargs: Any = None,
        min_grad_norm: float = 1e-7,
        max_iter: int = 2000,
        init: Any = "pca",
        init_scaling: float = 1e-4,
        device: Any = "auto",
        backend: str | None = None,
        verbose: int = False,
        random_state: Any = None,
        early_exaggeration_coeff: float = 1.0,
        early_exaggeration_iter: int | None = None,
        *,
        encoder: Any = None,
        batch_size: int = 512,
        metric: str = "euclidean",
        neighbors: Any = "auto",
        callbacks: Any = None,
        callbacks_every: int = 50,
        n_jobs: int | None = None,
        checkpoint: PathLike | None = None,
    ) -> None:
        self.affinity_in = affinity_in
        self.affinity_out = affinity_out
        self.kwargs_affinity_out = kwargs_affinity_out
        self.n_components = n_components
        self.lr = lr
        self.optimizer = optimizer
        self.optimizer_kwargs = optimizer_kwargs
        self.scheduler = scheduler
        self.scheduler_kwargs = scheduler_kwargs
        self.min_grad_norm = min_grad_norm
        self.max_iter = max_iter
        self.init = init
        self.init_scaling = init_scaling
        self.device = device
        self.backend = backend
        self.verbose = verbose
        self.random_state = random_state
        self.early_exaggeration_coeff = early_exaggeration_coeff
        self.early_exaggeration_iter = early_exaggeration_iter
        self.encoder = encoder
        self.batch_size = batch_size
        self.metric = metric
        self.neighbors = neighbors
        self.callbacks = callbacks
        self.callbacks_every = callbacks_every
        self.n_jobs = n_jobs
        self.checkpoint = checkpoint

    @property
    def affinity(self) -> Any:
        """`affinity_in`, under the name that other layouts have for it."""
        return self.affinity_in

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the layout.

        Parameters
        ----------
        X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (N, D)
            Rows; or distances or a graph, (N, N), as `metric` and `affinity_in` say.
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
        output = self._output_affinity()
        affinity = check_affinity(self.affinity_in, "affinity_in")
        check_backend(self.backend)
        given = {}
        if self.encoder is not None:
            from lowdim.embedding._pairs.encoder import check_module, numbers_of

            given = numbers_of(check_module(self.encoder))
        with begin(self, X, affinity, in_ball=output.in_ball, given=given) as start:
            self.__dict__.pop("encoder_", None)
            if self.encoder is not None:
                from lowdim.embedding._pairs.encoder import train

                train(self, start, output)
            elif self._is_tsne(output):
                from lowdim.embedding._pairs.by_tsne import lay_out_by_tsne

                lay_out_by_tsne(self, start)
                remember(self, start, output)
            else:
                lay_out(self, start, output)
        return self

    @available_if(lambda self: self.encoder is not None)
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Train the encoder on more rows, by another `max_iter` minibatches.

        Pairs are those of these rows, among which neighbours are sought, so a piece must be as
        varied as the data and large enough for the perplexity. Attraction is not exaggerated again,
        and the optimiser begins anew. ``encoder_`` is that of all rows so far; ``embedding_``, the
        graph and the loss are those of these rows.

        Parameters
        ----------
        X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (n, D)
        y : ignored

        Returns
        -------
        The estimator; the first call is `fit`.

        Raises
        ------
        ValueError, TypeError
            An argument or the data cannot be used. The encoder is then as it was.
        """
        if getattr(self, "encoder_", None) is None:
            return self.fit(X)
        from lowdim.embedding._pairs.encoder import train

        output = self._output_affinity()
        affinity = check_affinity(self.affinity_in, "affinity_in")
        check_backend(self.backend)
        with begin(self, X, affinity, in_ball=output.in_ball, first=False) as start:
            train(self, start, output, goes_on=True)
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
        """Places of new rows in the layout, which stays, or what the encoder makes of them.

        Parameters
        ----------
        X, perplexity, exaggeration, learning_rate, n_iter
            As of `lowdim.TSNE.transform`; all but X are without effect where there is an encoder.

        Returns
        -------
        ndarray of shape (m, c), float32

        Raises
        ------
        ValueError
            The fit was to a graph or to given neighbours, of which new rows have none.
        """
        if getattr(self, "encoder_", None) is not None:
            from lowdim.embedding._pairs.encoder import encode

            return encode(self, X)
        return place_rows(
            self,
            X,
            perplexity=perplexity,
            exaggeration=exaggeration,
            learning_rate=learning_rate,
            n_iter=n_iter,
        )

    def _affinity(self) -> Any:
        return self.affinity_in

    def _output_affinity(self) -> OutputAffinity:
        """The output affinity under its own parameters."""
        given = self.affinity_out
        if isinstance(given, str):
            given = NAMES[check_in(given, "affinity_out", tuple(NAMES))]()
        elif isinstance(given, type) and issubclass(given, OutputAffinity):
            required = given is NormalizedKernelAffinity
            given = given(**(self.kwargs_affinity_out or {})) if required else given()
        elif not isinstance(given, OutputAffinity) and callable(given):
            given = NormalizedKernelAffinity(given)
        if not isinstance(given, OutputAffinity):
            raise TypeError(
                f"affinity_out={given!r} is no affinity of points; pass one of {tuple(NAMES)}, an "
                "object such as NormalizedStudentAffinity(), or a function of torch tensors."
            )
        return clone(given).set_params(**(self.kwargs_affinity_out or {})).checked()

    def _is_tsne(self, output: OutputAffinity) -> bool:
        from lowdim._device import resolve_device
        from lowdim.embedding.output_affinities import NormalizedStudentAffinity

        return (
            isinstance(self.affinity_in, EntropicAffinity)
            and isinstance(output, NormalizedStudentAffinity)
            and output.normalization == "all"
            and isinstance(self.optimizer, str)
            and self.optimizer == "auto"
            and not self.optimizer_kwargs
            and self.scheduler in (None, "constant")
            and self.backend != "blockwise"
            and self.n_components <= 3
            and resolve_device(self.device).type == "cpu"
        )
