"""How many components a sample's mixture has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import train_test_split

from lowdim.mixture import GaussianMixture

CRITERIA = ("bic", "aic", "heldout_nll")


@dataclass(frozen=True)
class Sizing:
    """Numbers of components to try, and what decides.

    Attributes
    ----------
    n_components : tuple of int
        Ascending.
    criterion : {"bic", "aic", "heldout_nll"}
    train_size : float
    refit : bool
    """

    n_components: tuple[int, ...]
    criterion: str
    train_size: float
    refit: bool

    @property
    def splits(self) -> bool:
        """Whether some rows are held out."""
        return len(self.n_components) > 1 and self.criterion == "heldout_nll"


def sized_fit(
    model: GaussianMixture, rows: np.ndarray, sizing: Sizing, seed: int
) -> tuple[GaussianMixture, pd.DataFrame | None]:
    """The fit with the best number of components, and the table of all that were tried.

    A fit with a component that has shrunk onto the regularisation is taken only if all have one:
    its likelihood means nothing.
    """
    model = clone(model).set_params(random_state=seed)
    if len(sizing.n_components) == 1:
        return model.set_params(n_components=sizing.n_components[0]).fit(rows), None
    train, validation = rows, rows[:0]
    if sizing.splits:
        train, validation = train_test_split(rows, train_size=sizing.train_size, random_state=seed)
    fits = [clone(model).set_params(n_components=k).fit(train) for k in sizing.n_components]
    table = pd.DataFrame([_row(fit, train, validation, sizing.criterion) for fit in fits])
    worth = table if table["degenerate"].all() else table[~table["degenerate"]]
    best = fits[int(worth["score"].idxmin())]
    if sizing.splits and sizing.refit:
        best = clone(model).set_params(n_components=len(best.weights_)).fit(rows)
    return best, table


def _row(
    fit: GaussianMixture, train: np.ndarray, validation: np.ndarray, criterion: str
) -> dict[str, float | bool]:
    train_nll = -fit.score(train)
    held_out = -fit.score(validation) if len(validation) else np.nan
    score = held_out if criterion == "heldout_nll" else getattr(fit, criterion)(train)
    return {
        "n_components": len(fit.weights_),
        "score": score,
        "train_nll": train_nll,
        "validation_nll": held_out,
        "n_train": len(train),
        "n_validation": len(validation),
        "degenerate": bool(fit.degenerate_),
    }
