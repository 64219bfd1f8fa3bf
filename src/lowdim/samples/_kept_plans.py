"""Transport plans of pairs of samples that are kept, within a bound of memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lowdim._checkpoint import Arrays
from lowdim.transport._tree import Tree, room_for_trees

#: Bytes of all trees and plans together, at most.
KEPT_BYTES = 2**30


class KeptPlans:
    """Room for the trees of as many pairs as fit, and for plans alone of the others.

    A tree is kept from one map to the next, which then mends it. A plan alone, a third of the
    bytes, waits for the gradient of its map only, which saves finding it twice. So plans go first,
    and trees get what plans of all pairs leave. Import on first use only: numba is slow to load.

    Parameters
    ----------
    n_samples : int
    n_nodes : int
        Of the largest tree.

    Attributes
    ----------
    trees : Tree
    """

    def __init__(self, n_samples: int, n_nodes: int) -> None:
        self._n_samples = n_samples
        n_pairs = n_samples * (n_samples - 1) // 2
        of_plan, of_tree = (_bytes(room_for_trees(*own)) for own in ((0, n_nodes, 1), (1, n_nodes)))
        n_plans = min(n_pairs, KEPT_BYTES // of_plan)
        n_trees = min(n_pairs, (KEPT_BYTES - n_plans * of_plan) // (of_tree - of_plan))
        self.trees = room_for_trees(n_trees, n_nodes, n_plans)
        self._planted = np.zeros(n_trees, dtype=bool)

    def forget(self) -> None:
        """Plant all trees anew, as for the first map."""
        self._planted[:] = False

    def state(self) -> Arrays:
        """The trees as they are, for the file that a long fit is kept in."""
        trees = {f"trees.{name}": part[: len(self._planted)] for name, part in self._parts()}
        return {"planted": self._planted.copy(), **{n: own.copy() for n, own in trees.items()}}

    def take(self, state: Arrays) -> None:
        """Put in its place what `state` returned."""
        self._planted[:] = state["planted"]
        for name, part in self._parts():
            part[: len(self._planted)] = state[f"trees.{name}"]

    def _parts(self) -> Iterator[tuple[str, np.ndarray]]:
        return zip(self.trees._fields, self.trees, strict=True)

    def places(self, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where plans of pairs, (n, 2), go, and which are trees that are yet to be planted, (n,).

        Places after the trees are for these pairs until it is asked for others. -1 is none.
        """
        i, j = pairs.T
        numbers = i * self._n_samples - i * (i + 1) // 2 + j - i - 1
        n_trees, n_plans = len(self._planted), len(self.trees.parent)
        alone = np.flatnonzero(numbers >= n_trees)
        numbers[alone] = n_trees + np.arange(len(alone))
        numbers[alone[n_plans - n_trees :]] = -1
        fresh = np.zeros(len(numbers), dtype=bool)
        of_trees = numbers[(numbers >= 0) & (numbers < n_trees)]
        fresh[(numbers >= 0) & (numbers < n_trees)] = ~self._planted[of_trees]
        self._planted[of_trees] = True
        return numbers, fresh


def _bytes(trees: Tree) -> int:
    return sum(part.nbytes for part in trees)
