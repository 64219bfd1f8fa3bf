"""t-distributed stochastic neighbour embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse as sp

from lowdim._device import resolve_device
from lowdim._journal import Journal, LongFit
from lowdim._progress import reports
from lowdim._random import generator
from lowdim._validation import check_interval, check_positive, check_positive_int
from lowdim.affinities import EntropicAffinity, Graph
from lowdim.data.estimator_rows import read_rows
from lowdim.embedding._base import NeighborLayout
from lowdim.embedding._by_blocks import by_blocks
from lowdim.embedding._course import Watch
from lowdim.embedding._crew import Crew
from lowdim.embedding._initial import check_init, first_layout, needs_rows
from lowdim.embedding._tsne.settings import Settings

if TYPE_CHECKING:
    from lowdim._typing import PathLike
    from lowdim.embedding._tsne.course import Steps

#: Points up to which one thread is quicker than several.
FEW = 1_000


class TSNE(NeighborLayout):
    """A layout in which near rows stay near: t-SNE.

    Rows have affinities ``p_ij`` that sum to one, points of the layout similarities ``q_ij = w_ij /
    sum w`` with ``w_ij = (1 + r_ij^2 / a)^-a``, and the layout minimises ``KL(P || Q)`` by gradient
    descent with momentum and gains, for a while with affinities that are exaggerated. Forces are
    summed over all pairs of few points; of more they are summed by a particle mesh, in a time that
    grows with their number, or in three dimensions by a tree. The same seed gives the same layout,
    whatever the number of threads.

    Parameters
    ----------
    n_components : {1, 2, 3}, default=2
    perplexity : float, default=30.0
        Effective number of neighbours of each row; less than N.
    early_exaggeration : float, default=12.0
        Weight of the attraction at first.
    early_exaggeration_iter : int, default=250
        Iterations of that.
    exaggeration : float, default=1.0
        Weight of the attraction after that. Larger ones show what is continuous rather than what is
        separate; about 4 resembles UMAP, 30 Laplacian eigenmaps (Böhm, Berens and Kobak 2022).
    learning_rate : float or "auto", default="auto"
        "auto" is N over the exaggeration of each phase (Belkina and others 2019).
    max_iter : int, default=750
        Iterations of both phases together.
    initial_momentum, final_momentum : float, default=0.8
        Share of the last step in the next, in the first and in the second phase.
    max_step_norm : float, default=5.0
        Longest step of a point in an iteration.
    tol : float, default=1e-4
        Stop in the second phase when the norm of the gradient is no more than this share of that
        of the attraction.
    init : {"auto", "pca", "spectral", "random"}, estimator or array of shape (N, c), default="auto"
        Where to begin: the leading principal components or Laplacian eigenmaps, or the coordinates
        of an estimator with `transform` (of a `SubspaceMixture` the principal components of what it
        reconstructs), with a standard deviation of 1e-4 along the first; or given places, as they
        are. "auto" is "pca", or "spectral" where only distances or a graph are known.
    metric : str, default="euclidean"
        As of `lowdim.neighbors.NeighborIndex`. With "precomputed" X holds distances, (N, N): all of
        them, or a sparse matrix of those to neighbours, such as ``adata.obsp["distances"]``.
    neighbors : {"auto", "exact", "approximate", "faiss"} or Neighbors, default="auto"
        How neighbours are sought, or what they are.
    affinity : None, "precomputed" or an object of `lowdim.affinities`, default=None
        What makes affinities of neighbours: None is `EntropicAffinity` with the perplexity. With
        "precomputed" X is a graph, (N, N), such as ``adata.obsp["connectivities"]``: its weights
        are made symmetric and divided by their sum.
    method : {"auto", "exact", "mesh", "tree"}, default="auto"
        How repulsion is summed: over all pairs; by a mesh, in one or two dimensions; by a tree, in
        three. "auto" takes a mesh above 7,000 points and a tree above 4,000; for other `dof` than
        one above 3,000 and 1,500.
    dof : float, default=1.0
        a. Smaller ones have heavier tails and show finer structure (Kobak and others 2019).
    callbacks : callable or sequence of these, optional
        Called with the number of iterations, the layout and its KL divergence; one that returns
        true ends the fit.
    callbacks_every : int, default=50
        Iterations between calls, and between looks at `tol`.
    device : str or torch.device, default="cpu"
        Where neighbours and layouts by a mesh are found: "cpu" by compiled loops, "cuda" by torch,
        "auto" on a GPU if there is one. What is summed over all pairs is left to the CPU.
    n_jobs : int, optional
        Threads: as many as torch has for None, one per core for -1.
    random_state : int, Generator or RandomState, optional
    checkpoint : str or Path, optional
        A file to keep the descent in every few iterations. If the fit is cut off, the same call
        finds the graph again, goes on from there, and ends with the same bits. `max_iter` and
        `callbacks` may be others; other data or settings are refused.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    embedding_ : ndarray of shape (N, c), float32
    kl_divergence_ : float
    affinities_ : Graph
        P.
    neighbors_ : Neighbors or None
    n_iter_ : int
    stop_reason_ : str
        "limit", "gradient", "callback" or "interrupted" (from the keyboard; the layout is the one
        reached by then).
    history_ : dict of lists
        ``iteration``, ``gradient_norm`` and ``kl_divergence`` at every look; the divergence is nan
        without callbacks or a progress bar.
    n_features_in_ : int

    References
    ----------
    van der Maaten and Hinton (2008), Visualizing data using t-SNE. Kobak and Berens (2019), The art
    of using t-SNE for single-cell transcriptomics. Linderman and others (2019), Fast
    interpolation-based t-SNE. Hockney and Eastwood (1988), Computer simulation using particles.
    Barnes and Hut (1986), A hierarchical O(N log N) force-calculation algorithm.

    Examples
    --------
    >>> import numpy as np, lowdim as ld
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(size=(50, 5)), rng.normal(size=(50, 5)) + 9])
    >>> ld.TSNE(perplexity=10, random_state=0).fit_transform(X).shape
    (100, 2)
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        perplexity: float = 30.0,
        early_exaggeration: float = 12.0,
        early_exaggeration_iter: int = 250,
        exaggeration: float = 1.0,
        learning_rate: Any = "auto",
        max_iter: int = 750,
        initial_momentum: float = 0.8,
        final_momentum: float = 0.8,
        max_step_norm: float = 5.0,
        tol: float = 1e-4,
        init: Any = "auto",
        metric: str = "euclidean",
        neighbors: Any = "auto",
        affinity: Any = None,
        method: str = "auto",
        dof: float = 1.0,
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
        self.early_exaggeration = early_exaggeration
        self.early_exaggeration_iter = early_exaggeration_iter
        self.exaggeration = exaggeration
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.initial_momentum = initial_momentum
        self.final_momentum = final_momentum
        self.max_step_norm = max_step_norm
        self.tol = tol
        self.init = init
        self.metric = metric
        self.neighbors = neighbors
        self.affinity = affinity
        self.method = method
        self.dof = dof
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
            An argument or the data cannot be used, or the checkpoint is of another fit.

        Warns
        -----
        ConvergenceWarning
            Ctrl-C has ended the fit; the layout is the one reached by then.
        """
        settings = Settings.of(self)
        rng = generator(self.random_state)
        source = read_rows(self, X)
        init = check_init(
            self.init, source.n_rows, settings.n_components, has_rows=self._has_rows()
        )
        with LongFit(self, source, rng, {}) as journal:
            rng = journal.rng
            found = self._found(source, rng)
            P = joint_probabilities(found.graph)
            rows = source.rows(0, source.n_rows) if needs_rows(init) else None
            start = first_layout(init, settings.n_components, rows, P, rng)
            self._descend(P, start, settings, journal)
            self._remember(found)
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

        Every new row begins at the mean of its neighbours' places, by its affinities, and goes to
        where its own ``KL(p || q)`` is least, q being its similarities to all rows of the fit
        (Poličar, Stražar and Zupan 2023, Embedding to reference t-SNE space). No new row depends on
        others, so neither their order nor how they are split into calls matters. Rows of the fit
        come out near their places, not at them.

        Parameters
        ----------
        X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (m, D)
            New rows; with ``metric="precomputed"`` their distances to the rows of the fit, (m, N).
        perplexity : float, default=5.0
            Effective number of neighbours of a new row.
        exaggeration, learning_rate : float
            Weight of the attraction, and step.
        n_iter : int, default=250

        Returns
        -------
        ndarray of shape (m, c), float32

        Raises
        ------
        ValueError
            The fit was to a graph or to given neighbours, of which new rows have none.
        """
        from lowdim.embedding._tsne.new_points import Rates, place_new

        rates = Rates(
            n_iter=check_positive_int(n_iter, "n_iter", minimum=0),
            exaggeration=check_positive(exaggeration, "exaggeration"),
            learning_rate=check_interval(learning_rate, "learning_rate", low=0.0),
            momentum=float(self.final_momentum),
            dof=float(self.dof),
        )
        shares = self._entropic_shares(X, perplexity)
        with Crew(self.n_jobs) as crew:
            return place_new(shares, self.embedding_, rates, crew=crew)

    def _affinity(self) -> EntropicAffinity:
        return EntropicAffinity(self.perplexity)

    def _descend(
        self, P: sp.csr_matrix, start: np.ndarray, settings: Settings, journal: Journal
    ) -> None:
        from lowdim.embedding._tsne.course import Phase

        n = len(start)
        looks = (settings.n_early + settings.n_late) // settings.every
        with (
            Crew(self.n_jobs if n > FEW else 1) as crew,
            reports(looks, description="t-SNE", enabled=bool(self.verbose)) as report,
        ):
            descent = self._descent(P, start, settings, crew)
            phases = [Phase(*numbers) for numbers in settings.phases(n)]
            watch = Watch(settings.callbacks, settings.every, report)
            course = descent.run(phases, watch, settings.tol, journal)
            self.embedding_ = descent.layout
            self.kl_divergence_ = descent.kl_divergence()
        course.tell(self)

    def _descent(
        self, P: sp.csr_matrix, start: np.ndarray, settings: Settings, crew: Crew
    ) -> Steps:
        """By compiled loops, or by torch where a mesh is laid out on another device."""
        method = settings.method_for(len(start))
        device = resolve_device(self.device)
        if method == "mesh" and device.type != "cpu":
            from lowdim.embedding._tsne.torch_descent import TorchDescent
            from lowdim.embedding._tsne.torch_mesh import TorchMesh

            numbers = {"dof": settings.dof, "max_step": settings.max_step}
            mesh = TorchMesh(settings.dof, device)
            return TorchDescent(P, start, mesh, device=device, **numbers)
        from lowdim.embedding._tsne.descent import Descent, repulsion

        own = repulsion(method, settings.dof, crew)
        return Descent(P, start, own, dof=settings.dof, crew=crew, max_step=settings.max_step)


def joint_probabilities(graph: Graph) -> sp.csr_matrix:
    """Affinities that sum to one.

    Raises
    ------
    ValueError
        A row has none.
    """
    matrix = graph.matrix
    alone = np.flatnonzero(np.diff(matrix.indptr) == 0)
    if len(alone):
        raise ValueError(
            f"X has {len(alone)} row(s) without a neighbour in its graph, first row {alone[0]}; "
            "they would drift out of the layout: drop them, or use more neighbours."
        )
    return matrix / np.float32(matrix.sum(dtype=np.float64))
