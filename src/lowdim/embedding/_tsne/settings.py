"""What a t-SNE was asked for, checked before any work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lowdim._validation import check_in, check_interval, check_positive, check_positive_int

METHODS = ("auto", "exact", "mesh", "tree")
#: Points up to which "auto" sums over all pairs, in the plane and in space; and for other weights
#: than one over ``1 + r^2``, which take longer.
EXACT_POINTS, EXACT_POINTS_DOF = (7_000, 4_000), (3_000, 1_500)


@dataclass(frozen=True)
class Settings:
    """Numbers of a fit, as `lowdim.TSNE` explains them."""

    n_components: int
    early: float
    late: float
    n_early: int
    n_late: int
    learning_rate: float | None
    momenta: tuple[float, float]
    max_step: float
    tol: float
    dof: float
    method: str
    callbacks: tuple[Callable[..., Any], ...]
    every: int

    @classmethod
    def of(cls, model: Any) -> Settings:
        """Those of an estimator.

        Raises
        ------
        ValueError, TypeError
            One of its parameters cannot be used.
        """
        n_components = check_positive_int(model.n_components, "n_components")
        if n_components > 3:
            raise ValueError(f"n_components={n_components} is too large; pass 1, 2 or 3.")
        method = check_in(model.method, "method", METHODS)
        if method == "mesh" and n_components == 3:
            raise ValueError("method='mesh' is for one or two dimensions; pass 'tree' or 'auto'.")
        if method == "tree" and n_components < 3:
            raise ValueError("method='tree' is for three dimensions; pass 'mesh' or 'auto'.")
        max_iter = check_positive_int(model.max_iter, "max_iter")
        n_early = check_positive_int(
            model.early_exaggeration_iter, "early_exaggeration_iter", minimum=0
        )
        n_early = min(n_early, max_iter)
        rate = model.learning_rate
        if not (isinstance(rate, str) and rate == "auto"):
            rate = check_positive(rate, "learning_rate")
        return cls(
            n_components=n_components,
            early=check_positive(model.early_exaggeration, "early_exaggeration"),
            late=check_positive(model.exaggeration, "exaggeration"),
            n_early=n_early,
            n_late=max_iter - n_early,
            learning_rate=None if isinstance(rate, str) else rate,
            momenta=(
                _momentum(model.initial_momentum, "initial_momentum"),
                _momentum(model.final_momentum, "final_momentum"),
            ),
            max_step=check_positive(model.max_step_norm, "max_step_norm"),
            tol=check_interval(model.tol, "tol", low=0.0),
            dof=check_positive(model.dof, "dof"),
            method=method,
            callbacks=check_callbacks(model.callbacks),
            every=check_positive_int(model.callbacks_every, "callbacks_every"),
        )

    def method_for(self, n_points: int) -> str:
        """How the repulsion of so many points is summed: "exact", "mesh" or "tree"."""
        if self.method != "auto":
            return self.method
        in_space = self.n_components == 3
        most = EXACT_POINTS if self.dof == 1.0 else EXACT_POINTS_DOF
        if n_points <= most[in_space]:
            return "exact"
        return "tree" if in_space else "mesh"

    def phases(self, n_points: int) -> list[tuple[int, float, float, float]]:
        """Iterations, exaggeration, learning rate and momentum of both phases."""
        kinds = zip((self.n_early, self.n_late), (self.early, self.late), self.momenta, strict=True)
        return [
            (n_iter, weight, self.learning_rate or n_points / weight, momentum)
            for n_iter, weight, momentum in kinds
            if n_iter > 0
        ]


def _momentum(value: Any, name: str) -> float:
    return check_interval(value, name, low=0.0, high=1.0, closed="left")


def check_callbacks(callbacks: Any) -> tuple[Callable[..., Any], ...]:
    """One function, several or none as a tuple of functions."""
    given = () if callbacks is None else (callbacks,) if callable(callbacks) else tuple(callbacks)
    for callback in given:
        if not callable(callback):
            raise TypeError(f"callbacks has {callback!r}, which cannot be called; pass functions.")
    return given
