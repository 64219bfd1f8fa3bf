"""PHATE: distances between what diffusion makes of rows, in few dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from lowdim._device import resolve_device
from lowdim._random import generator
from lowdim._threads import serial_blas
from lowdim._validation import check_in, check_interval, check_positive, check_positive_int
from lowdim.affinities.diffusion import DiffusionPotential, Potential, members
from lowdim.data.estimator_rows import read_rows
from lowdim.data.sources import RowSource
from lowdim.embedding._base import SEARCHES, NeighborLayout
from lowdim.embedding._by_blocks import by_blocks
from lowdim.embedding._crew import Crew
from lowdim.embedding.pca import PCA
from lowdim.neighbors import NeighborIndex, Neighbors, from_graph

if TYPE_CHECKING:
    import torch

SCALINGS = ("metric", "classic")
#: Points up to which one thread is quicker than several.
FEW = 300


class PHATE(NeighborLayout):
    """A layout of courses and branches: PHATE.

    Rows diffuse to their neighbours. How differently diffusion spreads from two rows, on the scale
    of logarithms, is their potential distance, and the layout keeps these distances by metric
    multidimensional scaling. Of many rows groups around landmarks are laid out, and each row is
    placed among them by its probabilities. The same seed gives the same layout, whatever the number
    of threads.

    Parameters
    ----------
    n_components : int, default=2
    knn : int, default=5
        The neighbour whose distance is a row's own scale.
    decay : float, default=40.0
        How sharply affinities end at that distance.
    t : int or "auto", default="auto"
        Steps of diffusion; "auto" takes the knee of the von Neumann entropy.
    gamma : float, default=1.0
        What becomes of probabilities: minus their logarithm for 1, twice their square root for 0.
    n_landmark : int or None, default=2000
        With more rows than that, diffusion is among groups around so many random ones. None for no
        landmarks.
    mds : {"metric", "classic"}, default="metric"
        "classic": principal coordinates. "metric": from there to the least sum of squared errors of
        the distances, by L-BFGS.
    max_iter : int, default=1000
        Of "metric".
    tol : float, default=1e-7
        Of "metric": stop when an iteration lowers the squared stress by less than this share of
        that of "classic".
    metric : str, default="euclidean"
        As of `lowdim.neighbors.NeighborIndex`. With "precomputed" X holds distances, (N, N): all of
        them, or a sparse matrix of those to neighbours.
    neighbors : {"auto", "exact", "approximate", "faiss"} or Neighbors, default="auto"
        How neighbours are sought, or what they are: better twenty times `knn`.
    device : str or torch.device, default="cpu"
        Where neighbours are found, diffusion is followed and stress is lowered: "cpu", "cuda",
        "cuda:1", or "auto" for a CUDA device where there is one.
    n_jobs : int, optional
        Threads: as many as torch has for None, one per core for -1.
    random_state : int, Generator or RandomState, optional
        Of the landmarks, and of an approximate search.

    Attributes
    ----------
    embedding_ : ndarray of shape (N, c), float32
    landmark_embedding_ : ndarray of shape (L, c), float64
        Places of the landmarks; of the rows, where there are none.
    potential_ : Potential
        With the steps that were taken, ``n_steps``, and the entropy that told them.
    stress_ : float
        ``sqrt(sum (d_ij - r_ij)^2 / sum d_ij^2)`` over the rows or landmarks.
    neighbors_ : Neighbors
    n_iter_ : int
    n_features_in_ : int

    References
    ----------
    Moon and others (2019), Visualizing structure and transitions in high-dimensional biological
    data.

    Examples
    --------
    >>> import numpy as np, lowdim as ld
    >>> t = np.linspace(0, 1, 80)
    >>> X = np.c_[np.cos(3 * t), np.sin(3 * t)]
    >>> ld.PHATE(random_state=0).fit_transform(X).shape
    (80, 2)
    """

    #: The potential is PHATE's own; no other graph can be given.
    affinity = None

    def __init__(
        self,
        n_components: int = 2,
        *,
        knn: int = 5,
        decay: float = 40.0,
        t: Any = "auto",
        gamma: float = 1.0,
        n_landmark: int | None = 2000,
        mds: str = "metric",
        max_iter: int = 1000,
        tol: float = 1e-7,
        metric: str = "euclidean",
        neighbors: Any = "auto",
        device: Any = "cpu",
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.knn = knn
        self.decay = decay
        self.t = t
        self.gamma = gamma
        self.n_landmark = n_landmark
        self.mds = mds
        self.max_iter = max_iter
        self.tol = tol
        self.metric = metric
        self.neighbors = neighbors
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state

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
        self._check_arguments()
        device = resolve_device(self.device)
        rng = generator(self.random_state)
        source = read_rows(self, X)
        affinity = self._diffusion()
        index, neighbors = self._sought(source, affinity, rng)
        with serial_blas():  # sums of several threads are rounded otherwise
            potential = affinity.from_neighbors(neighbors, random_state=rng, device=device)
            places = self._lay_out(potential, rng, device)
        self.landmark_embedding_ = places
        if potential.interpolation is not None:
            places = potential.interpolation @ places
        self.embedding_ = np.asarray(places, dtype=np.float32)
        self.potential_, self.neighbors_, self._index = potential, neighbors, index
        return self

    @by_blocks
    def transform(self, X: Any) -> np.ndarray:
        """Places of new rows in the layout, which stays as it is.

        A new row comes to the mean of the places of rows, or of landmarks, by the probabilities of
        a step from it. No new row depends on others. Rows of the fit come out near their places,
        not at them.

        Parameters
        ----------
        X : array-like, sparse, DataFrame, tensor, AnnData, row source or path, shape (m, D)
            New rows; with ``metric="precomputed"`` their distances to the rows of the fit, (m, N).

        Returns
        -------
        ndarray of shape (m, c), float32

        Raises
        ------
        ValueError
            The fit was to given neighbours, of which new rows have none.
        """
        index = self._fitted_index()
        source = read_rows(self, X, reset=False)
        affinity = self._diffusion()
        steps = affinity.conditional(index.query(source, affinity.n_neighbors_for(index.n_points)))
        groups = self.potential_.groups
        if groups is not None:
            steps = steps @ members(groups)
        return np.asarray(steps @ self.landmark_embedding_, dtype=np.float32)

    def _check_arguments(self) -> None:
        check_positive_int(self.n_components, "n_components")
        check_positive_int(self.knn, "knn")
        check_positive(self.decay, "decay")
        if self.t != "auto":
            check_positive_int(self.t, "t")
        check_interval(self.gamma, "gamma", low=-1.0, high=1.0)
        if self.n_landmark is not None:
            check_positive_int(self.n_landmark, "n_landmark", minimum=2)
        check_in(self.mds, "mds", SCALINGS)
        check_positive_int(self.max_iter, "max_iter")
        check_interval(self.tol, "tol", low=0.0)

    def _has_rows(self) -> bool:
        return bool(self.metric != "precomputed")

    def _diffusion(self) -> DiffusionPotential:
        return DiffusionPotential(
            self.knn,
            decay=self.decay,
            n_steps=self.t,
            gamma=self.gamma,
            n_landmarks=self.n_landmark,
        )

    def _sought(
        self, source: RowSource, affinity: DiffusionPotential, rng: np.random.Generator
    ) -> tuple[NeighborIndex | None, Neighbors]:
        given = self.neighbors if isinstance(self.neighbors, Neighbors) else None
        if self.metric == "precomputed" and source.is_sparse:
            given = from_graph(source.rows(0, source.n_rows))
        if given is not None:
            self._check_given(given, source)
            return None, given
        check_in(self.neighbors, "neighbors", SEARCHES)
        index = NeighborIndex(
            source,
            metric=self.metric,
            method=self.neighbors,
            random_state=rng,
            n_jobs=self.n_jobs,
            device=self.device,
        )
        if self.knn > index.n_points - 1:
            raise ValueError(
                f"knn={self.knn}, but there are {index.n_points - 1} other rows; pass knn <= "
                f"{index.n_points - 1}."
            )
        return index, index.neighbors(affinity.n_neighbors_for(index.n_points))

    def _lay_out(
        self, potential: Potential, rng: np.random.Generator, device: torch.device
    ) -> np.ndarray:
        """Places of the rows or landmarks, (L, c), float64."""
        from lowdim.embedding._spectral.metric_scaling import metric_scaling
        from lowdim.embedding._spectral.stress import DeviceStress, HostStress

        start = _principal_coordinates(potential.values, int(self.n_components), rng, device)
        distances = _distances(potential.values)
        most = int(self.max_iter) if self.mds == "metric" else 0
        with Crew(self.n_jobs if len(start) > FEW else 1) as crew:
            on_host = device.type == "cpu"
            stress = HostStress(distances, crew) if on_host else DeviceStress(distances, device)
            places, self.stress_, self.n_iter_ = metric_scaling(
                stress, start, max_iter=most, tol=float(self.tol)
            )
        return places


def _principal_coordinates(
    values: np.ndarray, c: int, rng: np.random.Generator, device: torch.device
) -> np.ndarray:
    """The classical solution, (L, c); zero along axes that there are not."""
    start = np.zeros((len(values), c))
    k = min(c, len(values) - 1)
    model = PCA(k, svd_solver="randomized", tol=1e-6, device=device, random_state=rng)
    start[:, :k] = model.fit_transform(values)
    return start


def _distances(values: np.ndarray) -> np.ndarray:
    """Euclidean distances of rows, (L, L)."""
    values = values - values.mean(0)
    norms = np.einsum("ia,ia->i", values, values)
    squares = np.maximum(norms[:, None] + norms - 2 * (values @ values.T), 0.0)
    np.fill_diagonal(squares, 0.0)
    return np.sqrt(squares)
