"""Layouts on the way."""

from __future__ import annotations

import numpy as np


class Snapshots:
    """A callback that keeps the layouts of a fit, such as for `lowdim.pl.animate`.

    Pass one as `callbacks`; `callbacks_every` says how often it is called. It holds N x c numbers
    for each call.

    Attributes
    ----------
    iterations : list of int
    layouts : list of ndarray of shape (N, c), float32
    objectives : list of float
        What the method minimises, where it says so.

    Examples
    --------
    >>> import numpy as np
    >>> from lowdim import TSNE
    >>> from lowdim.embedding import Snapshots
    >>> seen = Snapshots()
    >>> model = TSNE(perplexity=3, max_iter=60, callbacks=seen, callbacks_every=20)
    >>> layout = model.fit_transform(np.eye(30))  # doctest: +SKIP
    >>> seen.iterations  # doctest: +SKIP
    [20, 40, 60]
    """

    def __init__(self) -> None:
        self.iterations: list[int] = []
        self.layouts: list[np.ndarray] = []
        self.objectives: list[float] = []

    def __call__(self, iteration: int, layout: np.ndarray, objective: float) -> None:
        """Keep a copy of the layout."""
        self.iterations.append(int(iteration))
        self.layouts.append(np.array(layout, dtype=np.float32))
        self.objectives.append(float(objective))

    def __len__(self) -> int:
        return len(self.layouts)
