"""A list of spaces as a mixture: scores of points under each of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import logsumexp

from lowdim._typing import Float64Array
from lowdim._validation import check_in
from lowdim.data.sources import RowSource
from lowdim.kspaces._rows import dense_blocks
from lowdim.kspaces._spaces import LOG_2PI, affine_subspace

ASSIGNMENTS = ("soft", "hard", "closest")
#: Points that reach farther out are scaled down to it, so that squares stay finite: to which
#: component so remote a point belongs depends on its direction alone.
FARTHEST = 1e100


def as_spaces(spaces: Any, name: str = "spaces") -> list[affine_subspace]:
    """Check a list of spaces, or a single one, of the same D.

    Raises
    ------
    TypeError, ValueError
        Not a list of spaces, an empty one, or spaces of different D.
    """
    if isinstance(spaces, affine_subspace):
        return [spaces]
    if not isinstance(spaces, (list, tuple)):
        raise TypeError(
            f"{name} is of type {_type_of(spaces)}; pass a list of lowdim.kspaces.affine_subspace."
        )
    for i, space in enumerate(spaces):
        if not isinstance(space, affine_subspace):
            raise TypeError(
                f"{name}[{i}] is of type {_type_of(space)}, not lowdim.kspaces.affine_subspace."
            )
    if not spaces:
        raise ValueError(f"{name} is empty; pass at least one affine_subspace.")
    if len({space.D for space in spaces}) > 1:
        raise ValueError(f"{name} have different D: {[space.D for space in spaces]}.")
    return list(spaces)


def log_joint(source: RowSource, spaces: list[affine_subspace]) -> Float64Array:
    """``log prior_k + log p(x_i | k)``, (N, K), without the factor (2 pi)^(-D/2)."""
    with np.errstate(divide="ignore"):
        log_priors = np.log([space.prior for space in spaces])
    blocks = []
    for rows in dense_blocks(source):
        near = _shortened(rows)
        blocks.append(np.stack([space.log_density(near) for space in spaces], 1) + log_priors)
    return np.concatenate(blocks)


def log_likelihood(source: RowSource, spaces: list[affine_subspace]) -> float:
    """Log-likelihood of all rows under the mixture."""
    rows = logsumexp(log_joint(source, spaces), axis=1)
    return float(rows.sum() - 0.5 * source.n_rows * source.n_cols * LOG_2PI)


def shares(source: RowSource, spaces: list[affine_subspace], assignment: str) -> Float64Array:
    """Each row's share in each component, (N, K)."""
    check_in(assignment, "assignment", ASSIGNMENTS)
    if assignment == "closest":
        scores = np.concatenate(
            [
                np.stack([-space._split(_shortened(rows))[1] for space in spaces], 1)
                for rows in dense_blocks(source)
            ]
        )
    else:
        scores = log_joint(source, spaces)
    return shares_of(scores, soft=assignment == "soft")


def shares_of(scores: Float64Array, *, soft: bool) -> Float64Array:
    """Posterior probabilities of log joint scores, (N, K), or 1 for the highest score."""
    if soft:
        out: Float64Array = np.exp(scores - logsumexp(scores, axis=1, keepdims=True))
        return out
    return np.eye(scores.shape[1])[scores.argmax(1)]


def _shortened(rows: Float64Array) -> Float64Array:
    """Rows that reach beyond the limit scaled down to it; the same array if there is none."""
    if max(rows.max(), -rows.min()) <= FARTHEST:
        return rows
    largest = np.abs(rows).max(1, keepdims=True)
    return np.asarray(rows * np.minimum(1.0, FARTHEST / np.maximum(largest, FARTHEST)))


def _type_of(value: object) -> str:
    """The type's name, with its module, since kspaces has classes of the same names."""
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
