"""How a layout is to be optimised, checked before any work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lowdim._validation import check_in, check_interval, check_positive, check_positive_int

#: Iterations with exaggerated attraction where only its weight is given.
EARLY = 250
#: Learning rate in the Poincare ball: about the length of a step.
BALL_RATE = 0.05
#: Learning rate of the parameters of networks.
ENCODER_RATE = 1e-3
#: Momentum of SGD while attraction is exaggerated, and after.
MOMENTA = (0.5, 0.8)
BACKENDS = (None, "blockwise", "faiss")


@dataclass(frozen=True)
class Phase:
    """Iterations under the same weight of the attraction.

    Attributes
    ----------
    n_iter : int
    weight : float
    last : bool
    """

    n_iter: int
    weight: float
    last: bool


@dataclass(frozen=True)
class PairSettings:
    """What the estimators of pairs were asked for.

    Attributes
    ----------
    n_components, max_iter, every : int
    lr : float or None
        None for "auto".
    optimizer : "auto" or a class
    optimizer_kwargs : mapping or None
        None for "auto".
    scheduler : callable or None
        Makes a scheduler of an optimiser and a number of iterations.
    phases : tuple of Phase
    tol, init_scaling : float
    callbacks : tuple of callables
    """

    n_components: int
    max_iter: int
    every: int
    lr: float | None
    optimizer: Any
    optimizer_kwargs: Mapping[str, Any] | None
    scheduler: Callable[[Any, int], Any] | None
    phases: tuple[Phase, ...]
    tol: float
    init_scaling: float
    callbacks: tuple[Callable[..., Any], ...]

    @classmethod
    def of(cls, model: Any) -> PairSettings:
        """Those of an estimator.

        Raises
        ------
        ValueError, TypeError
            One of its parameters cannot be used.
        """
        max_iter = check_positive_int(model.max_iter, "max_iter")
        kwargs = getattr(model, "optimizer_kwargs", None)
        return cls(
            n_components=check_positive_int(model.n_components, "n_components"),
            max_iter=max_iter,
            every=check_positive_int(model.callbacks_every, "callbacks_every"),
            lr=None if _is_auto(model.lr) else check_positive(model.lr, "lr"),
            optimizer=_optimizer(model.optimizer),
            optimizer_kwargs=None if _is_auto(kwargs) else _mapping(kwargs, "optimizer_kwargs"),
            scheduler=_scheduler(model.scheduler, getattr(model, "scheduler_kwargs", None)),
            phases=_phases(model, max_iter),
            tol=check_interval(model.min_grad_norm, "min_grad_norm", low=0.0),
            init_scaling=check_positive(model.init_scaling, "init_scaling"),
            callbacks=_callbacks(model.callbacks),
        )

    @property
    def facts(self) -> dict[str, Any]:
        """What else a file tells of a fit: where rates go by all iterations, their number."""
        return {} if self.scheduler is None else {"max_iter": self.max_iter}

    def make_optimizer(self, points: Any, phase: Phase, *, in_ball: bool) -> Any:
        """A new optimiser of (N, d) points for a phase, at that phase's rate and momentum."""
        from lowdim.embedding._pairs.optimizers import Gains, PoincareAdam

        rate = self.lr
        kwargs = dict(self.optimizer_kwargs or {})
        if self.optimizer == "auto":
            rate = 1.0 if rate is None else rate
            if in_ball:
                return PoincareAdam([points], lr=BALL_RATE * rate, **kwargs)
            return Gains([points], lr=rate * _scaled_rate(points, phase), **kwargs)
        is_sgd = self.optimizer.__name__ == "SGD"
        if rate is None:
            rate = BALL_RATE if in_ball else _scaled_rate(points, phase) if is_sgd else 1.0
        if is_sgd and self.optimizer_kwargs is None:
            kwargs["momentum"] = MOMENTA[int(phase.last)]
        return _made(self.optimizer, [points], rate, kwargs)

    def make_encoder_optimizer(self, parameters: Any, phase: Phase) -> Any:
        """A new optimiser of the parameters of a network for a phase."""
        import torch

        kind = torch.optim.Adam if self.optimizer == "auto" else self.optimizer
        kwargs = dict(self.optimizer_kwargs or {})
        if kind is torch.optim.SGD and self.optimizer_kwargs is None:
            kwargs["momentum"] = MOMENTA[int(phase.last)]
        rate = ENCODER_RATE * (1.0 if self.lr is None else self.lr)
        return _made(kind, list(parameters), rate, kwargs)


def _made(kind: Any, parameters: list[Any], rate: float, kwargs: dict[str, Any]) -> Any:
    try:
        return kind(parameters, lr=rate, **kwargs)
    except TypeError as error:
        raise TypeError(
            f"optimizer_kwargs={kwargs!r} do not fit {kind.__name__}: {error}."
        ) from None


def _scaled_rate(points: Any, phase: Phase) -> float:
    """The rate of gradients of a mean over points, such as t-SNE's (Belkina and others 2019)."""
    return len(points) / (4.0 * phase.weight)


def _phases(model: Any, max_iter: int) -> tuple[Phase, ...]:
    weight = check_positive(model.early_exaggeration_coeff, "early_exaggeration_coeff")
    n_early = model.early_exaggeration_iter
    if n_early is None:
        n_early = EARLY if weight != 1.0 else 0
    n_early = check_positive_int(n_early, "early_exaggeration_iter", minimum=0)
    n_early = min(n_early, max_iter) if weight != 1.0 else 0
    phases = (Phase(n_early, weight, False), Phase(max_iter - n_early, 1.0, True))
    return tuple(phase for phase in phases if phase.n_iter)


def _optimizer(given: Any) -> Any:
    """A class of torch's, or "auto"."""
    if _is_auto(given):
        return "auto"
    import torch

    if isinstance(given, str):
        known = getattr(torch.optim, given, None)
        if not (isinstance(known, type) and issubclass(known, torch.optim.Optimizer)):
            raise ValueError(
                f"optimizer={given!r} is not known; pass 'auto', a name in torch.optim such as "
                "'Adam' or 'SGD', or a class."
            )
        given = known
    if not (isinstance(given, type) and issubclass(given, torch.optim.Optimizer)):
        raise TypeError(f"optimizer={given!r} is no name and no class of optimisers of torch.")
    if given.__name__ in ("LBFGS", "SparseAdam"):
        raise ValueError(
            f"optimizer={given.__name__!r} needs what layouts do not give; pass 'Adam'."
        )
    return given


def _scheduler(given: Any, kwargs: Any) -> Callable[[Any, int], Any] | None:
    """What makes a scheduler."""
    from torch.optim import lr_scheduler

    kwargs = {} if _is_auto(kwargs) else dict(_mapping(kwargs, "scheduler_kwargs"))
    if given is None or given == "constant":
        return None
    if given == "linear" or (given == "LinearLR" and not kwargs):
        return lambda optimizer, n: lr_scheduler.LinearLR(optimizer, 1.0, 0.0, n)
    if given == "cosine":
        return lambda optimizer, n: lr_scheduler.CosineAnnealingLR(optimizer, n)
    kind = getattr(lr_scheduler, given, None) if isinstance(given, str) else given
    if not (isinstance(kind, type) and issubclass(kind, lr_scheduler.LRScheduler)):
        raise ValueError(
            f"scheduler={given!r} is not known; pass 'constant', 'linear', 'cosine', a name in "
            "torch.optim.lr_scheduler, or a class."
        )

    def make(optimizer: Any, n: int) -> Any:
        try:
            return kind(optimizer, **kwargs)
        except TypeError as error:
            raise TypeError(
                f"scheduler_kwargs={kwargs!r} do not fit {kind.__name__}: {error}."
            ) from None

    return make


def check_backend(backend: Any) -> Any:
    """None, "blockwise" or "faiss"."""
    if backend == "keops":
        raise ValueError(
            "backend='keops' is not supported; pass 'blockwise', which makes no N x N array either."
        )
    return None if backend is None else check_in(backend, "backend", BACKENDS[1:])


def _mapping(given: Any, name: str) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"{name}={given!r} is no mapping; pass a dict, None or 'auto'.")
    return given


def _callbacks(callbacks: Any) -> tuple[Callable[..., Any], ...]:
    given = () if callbacks is None else (callbacks,) if callable(callbacks) else tuple(callbacks)
    for callback in given:
        if not callable(callback):
            raise TypeError(f"callbacks has {callback!r}, which cannot be called; pass functions.")
    return given


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == "auto"
