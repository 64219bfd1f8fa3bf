"""t-SNE with a contrastive loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse as sp

from lowdim._device import resolve_device
from lowdim._journal import Journal, LongFit
from lowdim._progress import reports
from lowdim._random import generator
from lowdim._validation import check_interval, check_positive, check_positive_int
from lowdim.affinities import EntropicAffinity
from lowdim.data.estimator_rows import read_rows
from lowdim.embedding._base import NeighborLayout
from lowdim.embedding._by_blocks import by_blocks
from lowdim.embedding._course import Watch
from lowdim.embedding._crew import Crew
from lowdim.embedding._initial import check_init, first_layout, needs_rows
from lowdim.embedding._tsne.settings import check_callbacks
from lowdim.embedding.tsne import FEW, joint_probabilities

if TYPE_CHECKING:
    import torch

    from lowdim._typing import PathLike
    from lowdim.embedding._tsne.course import Steps

#: Into so many pieces is the second phase split, each with a smaller learning rate.
PIECES = 6
#: Share of the last step in the next.
MOMENTUM = 0.8
#: Longest step of a point in an iteration.
LONGEST = 5.0


class InfoTSNE(NeighborLayout):
    """A layout like t-SNE's whose repulsion is that of a few random points: InfoNC-t-SNE.

    Rows have affinities ``p_ij`` that sum to one, points of the layout weights ``w_ij = 1 / (1 +
    r_ij^2)``, and the layout minimises ``-sum_ij p_ij log w_ij + mean_i log(sum_k w_ik)`` with
    random points k (Damrich, Böhm, Hamprecht and Kobak 2023). The more random points, the nearer it
    is to t-SNE, and the fewer, to UMAP. The same seed gives the same layout, whatever the number of
    threads.

    Parameters
    ----------
    n_components : {1, 2, 3}, default=2
    perplexity : float, default=30.0
        Effective number of neighbours of each row; less than N.
    n_negatives : int, default=300
        Random points, drawn anew for every point and iteration; at least 2.
    early_exaggeration : float, default=12.0
        Weight of the attraction at first.
    early_exaggeration_iter : int, default=250
        Iterations of that.
    learning_rate : float or "auto", default="auto"
        "auto" is N over the exaggeration. In the second phase it falls to a sixth in six steps.
    max_iter : int, default=1000
        Iterations of both phases together.
    init : {"auto", "pca", "spectral", "random"}, estimator or array of shape (N, c), default="auto"
        Where to begin, as of `lowdim.TSNE`.
    metric, neighbors, affinity
        As of `lowdim.TSNE`.
    callbacks : callable or sequence of these, optional
        Called with the number of iterations, the layout and its divergence; one that returns true
        ends the fit.
    callbacks_every : int, default=50
        Iterations between calls.
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
    kl_divergence_ : float
        Of P from Q, ``q_ij = w_ij m / (N (N - 1) s_i)`` with the sums ``s_i`` over m random points.
    affinities_ : Graph
        P.
    neighbors_ : Neighbors or None
    n_iter_ : int
    stop_reason_ : str
        "limit", "callback" or "interrupted" (from the keyboard; the layout is the one reached by
        then).
    history_ : dict of lists
        ``iteration``, ``gradient_norm`` and ``kl_divergence`` at every look; the divergence is nan
        without callbacks or a progress bar.
    n_features_in_ : int

    References
    ----------
    Damrich, Böhm, Hamprecht and Kobak (2023), From t-SNE to UMAP with contrastive learning.

    Examples
    --------
    >>> import numpy as np, lowdim as ld
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(size=(50, 5)), rng.normal(size=(50, 5)) + 9])
    >>> ld.InfoTSNE(perplexity=10, random_state=0).fit_transform(X).shape
    (100, 2)
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        perplexity: float = 30.0,
        n_negatives: int = 300,
        early_exaggeration: float = 12.0,
        early_exaggeration_iter: int = 250,
        learning_rate: Any = "auto",
        max_iter: int = 1000,
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
        self.early_exaggeration = early_exaggeration
        self.early_exaggeration_iter = early_exaggeration_iter
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
        c, phases = self._check()
        device = resolve_device(self.device)
        source = read_rows(self, X)
        init = check_init(self.init, source.n_rows, c, has_rows=self._has_rows())
        given = {"max_iter": self.max_iter}  # steps become shorter towards the end
        with LongFit(self, source, generator(self.random_state), given) as journal:
            rng = journal.rng
            found = self._found(source, rng)
            P = joint_probabilities(found.graph)
            rows = source.rows(0, source.n_rows) if needs_rows(init) else None
            start = first_layout(init, c, rows, P, rng)
            self._descend(P, start, phases, journal, device)
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

        As of `lowdim.TSNE.transform`: a new row's loss has the sum of its weights over all rows of
        the fit.

        Parameters
        ----------
        X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (m, D)
            New rows; with ``metric="precomputed"`` their distances to the rows of the fit, (m, N).
        perplexity, exaggeration, learning_rate, n_iter
            As of `lowdim.TSNE.transform`.

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
            momentum=MOMENTUM,
            dof=1.0,
        )
        shares = self._entropic_shares(X, perplexity)
        with Crew(self.n_jobs) as crew:
            return place_new(shares, self.embedding_, rates, crew=crew)

    def _affinity(self) -> EntropicAffinity:
        return EntropicAffinity(self.perplexity)

    def _check(self) -> tuple[int, list[tuple[int, float, float]]]:
        """The number of dimensions, and iterations, exaggeration and share of the rate by phase."""
        c = check_positive_int(self.n_components, "n_components")
        if c > 3:
            raise ValueError(f"n_components={c} is too large; pass 1, 2 or 3.")
        check_positive_int(self.n_negatives, "n_negatives", minimum=2)
        early = check_positive(self.early_exaggeration, "early_exaggeration")
        n_early = check_positive_int(
            self.early_exaggeration_iter, "early_exaggeration_iter", minimum=0
        )
        n_iter = check_positive_int(self.max_iter, "max_iter")
        if not (isinstance(self.learning_rate, str) and self.learning_rate == "auto"):
            check_positive(self.learning_rate, "learning_rate")
        check_callbacks(self.callbacks)
        check_positive_int(self.callbacks_every, "callbacks_every")
        n_early = min(n_early, n_iter)
        edges = [(n_iter - n_early) * k // PIECES for k in range(PIECES + 1)]
        late = [(edges[k + 1] - edges[k], 1.0, 1.0 - k / PIECES) for k in range(PIECES)]
        return c, [phase for phase in [(n_early, early, 1.0), *late] if phase[0] > 0]

    def _descend(
        self,
        P: sp.csr_matrix,
        start: np.ndarray,
        phases: list[tuple[int, float, float]],
        journal: Journal,
        device: torch.device,
    ) -> None:
        from lowdim.embedding._tsne.course import Phase

        n, every = len(start), self.callbacks_every
        looks = sum(n_iter for n_iter, *_ in phases) // every
        rate = None if isinstance(self.learning_rate, str) else float(self.learning_rate)
        with (
            Crew(self.n_jobs if n > FEW else 1) as crew,
            reports(looks, description="InfoTSNE", enabled=bool(self.verbose)) as report,
        ):
            descent = self._descent(P, start, journal.rng, crew, device)
            course = descent.run(
                [
                    Phase(n_iter, weight, share * (rate or n / weight), MOMENTUM)
                    for n_iter, weight, share in phases
                ],
                Watch(check_callbacks(self.callbacks), every, report),
                journal=journal,
            )
            self.embedding_ = descent.layout
            self.kl_divergence_ = descent.kl_divergence()
        course.tell(self)

    def _descent(
        self,
        P: sp.csr_matrix,
        start: np.ndarray,
        rng: np.random.Generator,
        crew: Crew,
        device: torch.device,
    ) -> Steps:
        """By compiled loops, or by torch on another device."""
        if device.type != "cpu":
            from lowdim.embedding._edges.torch_repulsion import TorchSampledRepulsion
            from lowdim.embedding._tsne.torch_descent import TorchDescent

            sampled = TorchSampledRepulsion(self.n_negatives, device, rng)
            return TorchDescent(P, start, sampled, dof=1.0, device=device, max_step=LONGEST)
        from lowdim.embedding._edges.repulsion_sampled import SampledRepulsion
        from lowdim.embedding._tsne.descent import Descent

        repulsion = SampledRepulsion(self.n_negatives, crew, rng)
        return Descent(P, start, repulsion, dof=1.0, crew=crew, max_step=LONGEST)
