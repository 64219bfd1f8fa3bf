"""What UMAP and LargeVis have in common: their settings, and the course of a fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from lowdim._device import resolve_device
from lowdim._progress import reports
from lowdim._validation import check_positive, check_positive_int
from lowdim.embedding._course import Watch
from lowdim.embedding._crew import Crew
from lowdim.embedding._edges.similarity import Similarity
from lowdim.embedding._tsne.settings import check_callbacks

if TYPE_CHECKING:
    import torch

    from lowdim.embedding._edges.course import EdgeSteps

#: Epochs, and those of more rows than `MANY`.
EPOCHS, EPOCHS_OF_MANY, MANY = 500, 300, 10_000
#: Points up to which one thread is quicker than several.
FEW = 1_000
#: Largest coordinate of a first layout.
REACH = 10.0


@dataclass(frozen=True)
class EdgeSettings:
    """Numbers of a fit, as `lowdim.UMAP` explains them."""

    n_components: int
    n_epochs: int | None
    learning_rate: float
    n_negatives: int
    callbacks: tuple[Callable[..., Any], ...]
    every: int
    device: torch.device

    @classmethod
    def of(cls, model: Any, *, epochs: str, negatives: str) -> EdgeSettings:
        """Those of an estimator, whose epochs and negative samples have the names given.

        Raises
        ------
        ValueError, TypeError
            One of its parameters cannot be used.
        """
        n_epochs = getattr(model, epochs)
        return cls(
            n_components=check_positive_int(model.n_components, "n_components"),
            n_epochs=None if n_epochs is None else check_positive_int(n_epochs, epochs, minimum=0),
            learning_rate=check_positive(model.learning_rate, "learning_rate"),
            n_negatives=check_positive_int(getattr(model, negatives), negatives, minimum=0),
            callbacks=check_callbacks(model.callbacks),
            every=check_positive_int(model.callbacks_every, "callbacks_every"),
            device=resolve_device(model.device),
        )

    def epochs(self, n_rows: int) -> int:
        """Epochs of a fit to so many rows."""
        if self.n_epochs is not None:
            return self.n_epochs
        return EPOCHS if n_rows <= MANY else EPOCHS_OF_MANY


def descend(
    model: Any,
    rates: sp.csr_matrix,
    start: np.ndarray,
    similarity: Similarity,
    settings: EdgeSettings,
    rng: np.random.Generator,
    density: Callable[[Crew, int, torch.device], Any] | None = None,
) -> None:
    """Move points from where they begin to their layout, and leave that in the model.

    Parameters
    ----------
    model : NeighborLayout
    rates : CSR, (N, N)
        How often edges fire in an epoch.
    start : (N, c)
    similarity : Similarity
    settings : EdgeSettings
    rng : Generator
    density : callable, optional
        Makes what else moves points, of a crew, the number of epochs and the device.
    """
    from lowdim.embedding._edges.course import Schedule

    n, device = len(start), settings.device
    n_epochs, name = settings.epochs(n), type(model).__name__
    with (
        Crew(model.n_jobs if n > FEW else 1) as crew,
        reports(
            n_epochs // settings.every, description=name, enabled=bool(model.verbose)
        ) as report,
    ):
        schedule = Schedule(n_epochs, settings.learning_rate, settings.n_negatives)
        moving = None if density is None else density(crew, n_epochs, device)
        arguments = rates, start, similarity, schedule
        descent: EdgeSteps
        if device.type == "cpu":
            from lowdim.embedding._edges.descent import EdgeDescent

            descent = EdgeDescent(*arguments, crew=crew, rng=rng, density=moving)
        else:
            from lowdim.embedding._edges.torch_descent import TorchEdgeDescent

            descent = TorchEdgeDescent(*arguments, device=device, rng=rng, density=moving)
        course = descent.run(Watch(settings.callbacks, settings.every, report))
    model.embedding_ = descent.layout
    course.tell(model)


def settle(
    model: Any,
    weights: sp.csr_matrix,
    similarity: Similarity,
    settings: EdgeSettings,
    n_epochs: Any,
) -> np.ndarray:
    """Places of new rows in the layout of a model, (m, c), float32.

    Parameters
    ----------
    model : NeighborLayout
        Fitted.
    weights : CSR, (m, N)
        How often the edges of new rows fire in an epoch.
    similarity : Similarity
    settings : EdgeSettings
    n_epochs : int
    """
    from lowdim.embedding._edges.course import Schedule

    schedule = Schedule(
        check_positive_int(n_epochs, "n_epochs", minimum=0),
        settings.learning_rate,
        settings.n_negatives,
    )
    arguments = weights, model.embedding_, similarity, schedule
    if settings.device.type != "cpu":
        from lowdim.embedding._edges import torch_descent

        return torch_descent.place_new(*arguments, device=settings.device)
    from lowdim.embedding._edges import descent

    with Crew(model.n_jobs) as crew:
        return descent.place_new(*arguments, crew=crew)
