"""Which axes to show of real-valued factors: those of simple structure, where any would do.

Factors with the same prior may be rotated among themselves without a change of the model. Varimax
(Kaiser 1958) and quartimax take the axes on which most columns load on few factors.
"""

from __future__ import annotations

import numpy as np

from lowdim.factorization._processes import alike
from lowdim.factorization._state import State

#: Share of the squared loadings' products with column means that the criteria take off.
GAMMA = {"varimax": 1.0, "quartimax": 0.0}
MAX_ROUNDS, TOLERANCE = 500, 1e-10


def rotation_of(state: State, method: str | None) -> np.ndarray:
    """Orthogonal (L, L): new factors are old ones times it, and so are loadings.

    It turns only factors that have the same prior among themselves. New factors are in the order
    of what they explain within such a group, each with its largest loading positive.
    """
    L = len(state.mean)
    W = state.loadings.cpu().numpy()
    out = np.zeros((L, L))
    for group in _groups(state):
        own = simple_axes(W[:, group], GAMMA[method]) if method else np.eye(len(group))
        turned = W[:, group] @ own
        if method:
            order = np.argsort(-np.square(turned).sum(0), kind="stable")
            own, turned = own[:, order], turned[:, order]
        top = np.abs(turned).argmax(0)
        out[np.ix_(group, group)] = own * np.where(turned[top, range(len(group))] < 0, -1.0, 1.0)
    return out


def _groups(state: State) -> list[list[int]]:
    """Factors with the same prior."""
    groups: list[list[int]] = []
    T = len(state.processes)
    for j, process in enumerate(state.processes):
        for group in groups:
            if alike(state.processes[group[0]], process):
                group.append(j)
                break
        else:
            groups.append([j])
    others = list(range(T, len(state.mean)))
    return [*groups, others] if others else groups


def simple_axes(loadings: np.ndarray, gamma: float) -> np.ndarray:
    """The rotation, (L, L), that makes loadings, (J, L), simple: Procrustes problems in turn."""
    L = loadings.shape[1]
    R = np.eye(L)
    before = 0.0
    for _ in range(MAX_ROUNDS if L > 1 else 0):
        turned = loadings @ R
        target = turned**3 - gamma * turned * np.square(turned).mean(0)
        U, S, Vt = np.linalg.svd(loadings.T @ target)
        R = U @ Vt
        if S.sum() <= before * (1 + TOLERANCE):
            break
        before = S.sum()
    return R
