"""A linear map under which samples of one label are near."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from lowdim._device import resolve_device
from lowdim._journal import Journal, LongFit
from lowdim._progress import reports
from lowdim._random import generator
from lowdim._saving import Saved
from lowdim._validation import check_in, check_interval, check_positive_int
from lowdim._warnings import warn_caller
from lowdim.data.estimator_rows import read_rows, remember_names
from lowdim.samples._descent import Course, Plan, descend_from_all
from lowdim.samples._map_objective import MapObjective
from lowdim.samples._map_penalty import NORMS, Penalty
from lowdim.samples._map_starts import first_maps
from lowdim.samples._map_transport import map_transport
from lowdim.samples._rows import in_order, listed
from lowdim.samples._support import Support
from lowdim.samples._training_samples import with_triplets
from lowdim.samples.axes import along_principal_axes
from lowdim.samples.dataset import SampleDataset
from lowdim.transport import Clouds, Mixtures, cloud_distances, mixture_distances

if TYPE_CHECKING:
    from lowdim._typing import PathLike

#: Costs of components that `cost` stands for.
COSTS = {"mixed": "mixed", "mw2": "mw2", "w1": "mixed", "w2": "mw2"}
#: What these are called where components are points.
POINTS = {"mixed": "w1", "mw2": "w2"}
#: Costs of points only.
OF_POINTS = tuple(POINTS.values())
#: A fit whose loss still falls by this share within its last tenth should go on.
FALLING = 0.05


class GroundMetric(Saved, BaseEstimator):
    """A linear map W under which samples with the same label are near, and others far apart.

    Samples are mixtures of Gaussians or clouds of points. Under the map a component has the mean
    ``m = W mu`` and the covariance ``C = W Sigma W'``, and the distance ``D_ij`` of two samples is
    that of `lowdim.transport.mixture_distances` between the mapped mixtures. The map minimises

        mean over (i, j, k) of max(0, D_ij - D_jk + alpha) + reg norm(W) + mi_reg I(W)

    over all triplets of samples with ``y_i = y_j != y_k`` and i other than j: a sample is to be
    nearer to its like than to any other, by the margin alpha. Distances in training are those that
    `distances` gives, and gradients are exact.

    Parameters
    ----------
    n_components : int, default=5
        r, the axes of the map.
    cost : {"mixed", "mw2", "w1", "w2"}, default="mixed"
        "mixed" is the distance of means plus the squared Bures distance of covariances, which has
        no unit and grows with the scale of the data in between its first and second power; "mw2"
        is the root of the transport cost of squared distances of both, in the units of the data.
        Of points these are "w1" and "w2".
    diagonal : bool, default=False
        Whether only the variances along the axes of the map count, not correlations.
    entropic : float, default=0.0
        Strength of an entropic penalty on plans, relative to the mean cost of each pair of samples;
        distances are costs of these plans without the penalty, as in
        `lowdim.transport.mixture_distances`. 0 takes exact plans, which is faster here.
    alpha : float, default=10.0
        The margin, in the units of the distances: choose it with them in mind.
    reg : float, default=1e-3
    reg_type : {"fro", "l1", "nuc"}, default="fro"
        The norm of W: Frobenius, sum of absolute values, or nuclear.
    mi_reg : float, default=0.0
        Weight of the mutual information of the axes within components, averaged over components by
        their weights and over samples. With it `diagonal` loses little.
    standardize : bool, default=False
        Train on columns divided by their standard deviations over all samples, so that neither
        alpha nor the start depends on the units. The map is for the data as they come.
    init : {"orthonormal", "pca"} or array of shape (r, D), default="orthonormal"
        The first map: random orthonormal rows, or the main axes of the components' means.
    n_init : int, default=3
        Random starts, of which the one with the lowest loss is kept: after few epochs, and where
        samples differ in covariances, the start decides much.
    lr : float, default=0.1
        About what a step changes an entry of the map by; steps are Adam's, with one scale for the
        whole map, so that turning the data turns the course.
    max_iter : int, default=100
        Epochs.
    tol : float, default=1e-6
        Stop when the norm of the gradient is no more.
    n_iter_no_change : int, optional
        Stop after so many epochs in which the loss did not fall.
    validation_fraction : float, default=0.0
        Share of the samples that are held out. The map is then the one with the lowest hinge of
        triplets with an anchor among them and two others, and `n_iter_no_change` watches that.
    batch_size : int, optional
        Samples of a step, with labels in about equal shares; by default all.
    n_cells : int or None, default=250
        Rows that are drawn of each sample of a `SampleDataset`, where its mixtures are not taken.
    warm_start : bool, default=False
        Begin where the last fit ended.
    device : str or torch.device, default="cpu"
        Where costs, entropic plans and gradients are found; exact plans are found on the host.
    random_state : int, Generator or RandomState, optional
    checkpoint : path, optional
        A file to keep the fit in every few epochs. A fit with the same file, samples and settings
        goes on from there, to the same bits.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    components_ : ndarray of shape (r, D)
        W, in the units of the data. Distances stay as they are when a map is turned, so its rows
        are orthogonal and the longest is the first; not so where single axes count (`diagonal`,
        `mi_reg`, "l1").
    classes_ : ndarray
        The labels.
    loss_ : float
        Of the map, on the samples held out if there are any.
    history_ : dict of lists
        ``loss``, ``hinge``, ``penalty``, ``active`` (share of triplets whose margin is broken),
        ``gradient_norm`` and ``validation`` (hinge of samples held out, or nan): at the start and
        after every epoch.
    losses_ : ndarray of shape (n_init,)
        Of every start; of one where `init` is no random map. Ctrl-C leaves out those not begun.
    n_iter_ : int
        Epochs.
    stop_reason_ : str
        "gradient", "plateau", "limit" or "interrupted".
    n_features_in_ : int

    References
    ----------
    Kuehn and Schaub (2025), Global ground metric learning with applications to scRNA data.

    Examples
    --------
    >>> import numpy as np, lowdim as ld
    >>> from lowdim.transport import Mixtures
    >>> rng = np.random.default_rng(0)
    >>> labels = np.repeat(["a", "b"], 5)
    >>> means = rng.normal(size=(10, 2, 3)) + 4.0 * (labels == "b")[:, None, None] * [1, 0, 0]
    >>> mixtures = Mixtures.of(np.full((10, 2), 0.5), means, np.ones((10, 2, 3)))
    >>> model = ld.GroundMetric(1, random_state=0).fit(mixtures, labels)
    >>> model.distances(mixtures).shape
    (10, 10)
    """

    _also: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        n_components: int = 5,
        *,
        cost: str = "mixed",
        diagonal: bool = False,
        entropic: float = 0.0,
        alpha: float = 10.0,
        reg: float = 1e-3,
        reg_type: str = "fro",
        mi_reg: float = 0.0,
        standardize: bool = False,
        init: Any = "orthonormal",
        n_init: int = 3,
        lr: float = 0.1,
        max_iter: int = 100,
        tol: float = 1e-6,
        n_iter_no_change: int | None = None,
        validation_fraction: float = 0.0,
        batch_size: int | None = None,
        n_cells: int | None = 250,
        warm_start: bool = False,
        device: Any = "cpu",
        random_state: Any = None,
        checkpoint: PathLike | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.cost = cost
        self.diagonal = diagonal
        self.entropic = entropic
        self.alpha = alpha
        self.reg = reg
        self.reg_type = reg_type
        self.mi_reg = mi_reg
        self.standardize = standardize
        self.init = init
        self.n_init = n_init
        self.lr = lr
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.batch_size = batch_size
        self.n_cells = n_cells
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.checkpoint = checkpoint
        self.verbose = verbose

    def fit(self, distributions: Mixtures | Clouds | SampleDataset, labels: Any = None) -> Self:
        """Learn the map.

        Parameters
        ----------
        distributions : Mixtures, Clouds or SampleDataset
            Of S samples; of a dataset its mixtures, unless it has none or the cost is of points.
        labels : (S,), optional
            Of the samples; by default those of the dataset. For a dataset a Series or dict goes by
            the names of samples, and a Series with the index that pandas gives goes by position.

        Raises
        ------
        TypeError, ValueError
            An argument cannot be used, there are no triplets, or the checkpoint is of another fit.

        Warns
        -----
        ConvergenceWarning
            Ctrl-C has ended the fit with the best map so far; the loss was still falling; or some
            entropic plans were not found.
        """
        resolve_device(self.device)  # raises before any work
        measures, labels = self._read(distributions, labels)
        given = {
            "max_iter": self.max_iter,  # the last epoch moves nothing
            "labels": labels,
            "last map": self.components_ if self._goes_on else None,
            **{f"{name} of samples": part for name, part in vars(measures).items()},
        }
        with LongFit(self, None, generator(self.random_state), given) as journal:
            self._learn(measures, labels, journal)
            remember_names(self, getattr(distributions, "source", None))
        return self

    def _learn(self, measures: Mixtures | Clouds, labels: np.ndarray, journal: Journal) -> None:
        """Descend, and write the fitted attributes."""
        support, rng = Support.of(measures), journal.rng
        D = support.means.shape[1]
        check_in(self.standardize, "standardize", (True, False))
        scales = support.scales() if self.standardize else np.ones(D)
        support = support.divided_by(scales)
        cost = self._cost(measures)
        starts = self._starts(support, scales, rng)
        penalty = self._penalty()
        margin = check_interval(self.alpha, "alpha", low=0.0)
        plan = Plan.of(self, labels, rng)
        transport = map_transport(
            support,
            resolve_device(self.device),
            cost=cost,
            diagonal=bool(check_in(self.diagonal, "diagonal", (True, False))),
            entropic=check_interval(self.entropic, "entropic", low=0.0),
        )
        objective = MapObjective(transport, labels, margin, penalty)
        total = plan.max_iter * len(starts)
        with reports(total, description="ground metric", enabled=bool(self.verbose)) as report:
            courses = descend_from_all(objective, starts, plan, journal, report)
        best = min(courses, key=lambda course: course.score)
        self.n_features_in_ = D
        self.classes_ = np.unique(labels)
        W = best.best / scales
        turns = not (self.diagonal or self.mi_reg or self.reg_type == "l1")
        self.components_ = along_principal_axes(W) if turns else W
        self.loss_ = best.score
        self.losses_ = np.array([course.score for course in courses])
        self._tell(best)
        if not objective.plans_found:
            warn_caller(
                f"Some entropic plans were not found; raise entropic={self.entropic!r}, or take 0, "
                "which is exact.",
                ConvergenceWarning,
            )

    def transform(self, X: Any) -> np.ndarray:
        """Rows under the map, ``X W'``, (N, r).

        Parameters
        ----------
        X : array-like, DataFrame, AnnData, row source or path, shape (N, D)
        """
        check_is_fitted(self)
        source = read_rows(self, X, reset=False)
        step = max(1, 2**22 // source.n_cols)
        parts = [
            source.rows(start, min(start + step, source.n_rows)) @ self.components_.T
            for start in range(0, source.n_rows, step)
        ]
        return np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])

    def distances(
        self, distributions: Mixtures | Clouds | SampleDataset, pairs: Any = None
    ) -> np.ndarray:
        """Distances under the map, of all pairs, (S, S), or of those given, (n,)."""
        check_is_fitted(self)
        measures = self._measures(distributions)
        D = measures.points.shape[1] if isinstance(measures, Clouds) else measures.means.shape[2]
        if self.n_features_in_ != D:
            raise ValueError(
                f"distributions have {D} columns, and the map was learned from "
                f"{self.n_features_in_}; pass samples with the same columns."
            )
        mapped, cost = measures.mapped(self.components_), self._cost(measures)
        plans: dict[str, Any] = {"entropic": self.entropic, "device": self.device}
        if isinstance(mapped, Clouds):
            return cloud_distances(mapped, pairs, cost=POINTS[cost], **plans)
        if self.diagonal:
            mapped = mapped.diagonal()
        return mixture_distances(mapped, pairs, cost=cost, **plans)

    @property
    def _goes_on(self) -> bool:
        """Whether a fit begins where the last one ended."""
        return bool(self.warm_start and hasattr(self, "components_"))

    # Arguments ------------------------------------------------------------------------------

    def _read(self, distributions: Any, labels: Any) -> tuple[Mixtures | Clouds, np.ndarray]:
        if labels is None and isinstance(distributions, SampleDataset):
            labels = distributions.labels
        if labels is None:
            raise ValueError("labels are missing; pass one for every sample.")
        measures = self._measures(distributions)
        labels = np.asarray(in_order(labels, getattr(distributions, "names", None), "labels"))
        if labels.shape != (len(measures),):
            raise ValueError(
                f"labels has shape {labels.shape}, and there are {len(measures)} samples; pass "
                "one for every sample."
            )
        names = getattr(distributions, "names", np.arange(len(labels)))
        if pd.isna(labels).any():
            raise ValueError(f"labels are missing for {listed(names[pd.isna(labels)])}.")
        return measures, with_triplets(labels)

    def _measures(self, distributions: Any) -> Mixtures | Clouds:
        """What is compared: mixtures of a dataset unless it has none or the cost is of points."""
        if isinstance(distributions, SampleDataset):
            if distributions.gmm is not None and self.cost not in OF_POINTS:
                return distributions.mixtures
            return distributions.clouds(self.n_cells)  # the same rows in every call
        if not isinstance(distributions, Mixtures | Clouds):
            raise TypeError(
                f"distributions is a {type(distributions).__name__}; pass "
                "lowdim.transport.Mixtures or Clouds, or a lowdim.SampleDataset."
            )
        return distributions

    def _cost(self, measures: Mixtures | Clouds) -> str:
        cost = check_in(self.cost, "cost", tuple(COSTS))
        if cost in OF_POINTS and isinstance(measures, Mixtures):
            raise ValueError(f"cost={cost!r} is for points; of mixtures it is {COSTS[cost]!r}.")
        return COSTS[cost]

    def _penalty(self) -> Penalty:
        return Penalty(
            check_interval(self.reg, "reg", low=0.0),
            check_in(self.reg_type, "reg_type", NORMS),
            check_interval(self.mi_reg, "mi_reg", low=0.0),
        )

    def _starts(
        self, support: Support, scales: np.ndarray, rng: np.random.Generator
    ) -> list[np.ndarray]:
        """First maps, (r, D), of columns that have been divided by their scales."""
        r = check_positive_int(self.n_components, "n_components")
        n_init, init = check_positive_int(self.n_init, "n_init"), self.init
        if self._goes_on:
            if self.components_.shape != (r, len(scales)):
                raise ValueError(
                    f"warm_start=True, but the last map has shape {self.components_.shape}, "
                    f"expected ({r}, {len(scales)}); fit with warm_start=False."
                )
            init = self.components_
        if not isinstance(init, str) and np.shape(init)[-1:] == scales.shape:
            init = np.asarray(init) * scales
        return first_maps(support, init, r, n_init, rng)

    def _tell(self, course: Course) -> None:
        epochs = course.epochs
        names = ("loss", "hinge", "penalty", "active", "validation")
        self.history_ = {name: [getattr(loss, name) for loss in epochs] for name in names}
        self.history_["gradient_norm"] = [float(np.linalg.norm(e.gradient)) for e in epochs]
        self.n_iter_, self.stop_reason_ = len(epochs) - 1, course.stopped
        recent = self.history_["loss"][-1 - max(1, self.n_iter_ // 10) :]
        if course.stopped == "limit" and recent[-1] < (1 - FALLING) * recent[0]:
            warn_caller(
                f"The loss was still falling after max_iter={self.max_iter} epochs; raise "
                "max_iter, or lr.",
                ConvergenceWarning,
            )
