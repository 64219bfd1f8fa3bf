"""Read components that are given: `fixed`, `background`, and those that a fit starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lowdim.data.standardized import StandardizedRows
from lowdim.mixture._subspace.constraints import Constraints

_FIXED_KEYS = {"mean", "basis", "latent_variances"}
_WHOLE_KEYS = {"mean", "basis", "latent_variances", "noise_variance"}


@dataclass(frozen=True)
class GivenComponent:
    """One fixed or background component in the data's units.

    ``latent_variances`` is None where it is to be learned, ``noise_variance`` likewise;
    ``uniform`` components have neither mean nor basis.
    """

    mean: np.ndarray
    basis: np.ndarray
    latent_variances: np.ndarray | None
    noise_variance: float | None
    uniform: bool = False


def parse_given(fixed: Any, background: Any, n_columns: int) -> list[GivenComponent]:
    """Check both arguments; fixed components come first.

    Raises
    ------
    TypeError, ValueError
        An entry is not a mapping, has unknown or missing keys, or arrays of wrong shape.
    """
    given = [_parse(entry, "fixed", n_columns) for entry in _as_list(fixed, "fixed")]
    for entry in _as_list(background, "background"):
        if isinstance(entry, str):
            if entry != "uniform":
                raise ValueError(f"background={entry!r} is not known; pass 'uniform' or a dict.")
            given.append(
                GivenComponent(
                    np.zeros(n_columns), np.zeros((0, n_columns)), np.zeros(0), np.inf, True
                )
            )
        else:
            given.append(_parse(entry, "background", n_columns))
    return given


def parse_start(
    init: Sequence[Any], dims: list[int], n_held: int, n_columns: int
) -> tuple[list[GivenComponent], np.ndarray]:
    """Check components to start from; the weights are followed by those of the held ones.

    What the weights lack of one goes to the fixed and background components in equal shares; if
    they lack nothing, each of these has the mean weight.
    """
    found, weights = [], []
    for entry in init:
        own = dict(entry) if isinstance(entry, Mapping) else entry
        weight = own.pop("weight", 1.0) if isinstance(own, dict) else 1.0
        found.append(_parse(own, "init", n_columns))
        weights.append(float(_positive(weight, "init['weight']", ())))
    own_dims = [len(component.basis) for component in found]
    if sorted(own_dims) != sorted(dims):
        raise ValueError(
            f"init has components of dimensions {own_dims}, but dims={dims}; "
            "pass the same dimensions in both."
        )
    left = 1 - sum(weights)
    each = left / n_held if n_held and left > 1e-6 else float(np.mean(weights))
    return found, np.array([*weights, *[each] * n_held])


def build_constraints(
    given: list[GivenComponent], data: StandardizedRows, retained: int
) -> Constraints | None:
    """Constraints in the standardised units of ``data``; None when nothing is given."""
    if not given:
        return None
    h, d = len(given), data.n_columns
    bases, latent = np.zeros((h, retained, d)), np.ones((h, retained))
    for i, component in enumerate(given):
        size = len(component.basis)
        bases[i, :size] = component.basis
        if component.latent_variances is not None:
            latent[i, :size] = component.latent_variances / data.scale**2
    any_uniform = any(c.uniform for c in given)
    volume = log_box_volume(data) if any_uniform else 0.0
    noise = [1.0 if c.noise_variance is None else c.noise_variance / data.scale**2 for c in given]
    means = [0 * c.mean if c.uniform else (c.mean - data.mean) / data.scale for c in given]

    def tensor(value: Any, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        return torch.as_tensor(np.asarray(value), dtype=dtype, device=data.device)

    return Constraints(
        learn_noise=tensor([c.noise_variance is None for c in given], torch.bool),
        learn_latent=tensor([c.latent_variances is None for c in given], torch.bool),
        means=tensor(means),
        bases=tensor(bases),
        latent=tensor(latent),
        noise=tensor(noise),
        dims=tensor([len(c.basis) for c in given], torch.int64),
        log_volume=tensor([volume * c.uniform for c in given]) if any_uniform else None,
    )


def log_box_volume(data: StandardizedRows) -> float:
    """Log volume of the smallest axis-parallel box around the rows, standardised units."""
    low = np.full(data.n_columns, np.inf)
    high = -low
    for start in range(0, data.n_rows, data.block_rows):
        rows = data.source.rows(start, min(start + data.block_rows, data.n_rows))
        lowest, highest = rows.min(0), rows.max(0)
        if data.source.is_sparse:
            lowest, highest = lowest.toarray().ravel(), highest.toarray().ravel()
        low, high = np.minimum(low, lowest), np.maximum(high, highest)
    width = (high - low) / data.scale
    if (width <= 0).any():
        column = int(np.argmin(width))
        raise ValueError(
            f"background='uniform' needs every column to vary, but column {column} is constant; "
            "drop the constant columns first."
        )
    return float(np.log(width).sum())


def _as_list(value: Any, name: str) -> Sequence[Any]:
    if value is None:
        return []
    if isinstance(value, (str, Mapping)):
        return [value]
    if isinstance(value, Sequence):
        return value
    raise TypeError(f"{name} must be None, a dict or a list of dicts, got {type(value).__name__}.")


def _parse(entry: Any, name: str, n_columns: int) -> GivenComponent:
    if not isinstance(entry, Mapping):
        raise TypeError(f"Every entry of {name} must be a dict, got {type(entry).__name__}.")
    allowed = _FIXED_KEYS if name == "fixed" else _WHOLE_KEYS
    unknown = set(entry) - allowed
    if unknown:
        raise ValueError(
            f"{name} has unknown key(s) {sorted(map(str, unknown))}; it takes {sorted(allowed)}."
        )
    if "mean" not in entry:
        raise ValueError(f"{name} needs the key 'mean', an array of {n_columns} numbers.")
    mean = _array(entry["mean"], f"{name}['mean']", (n_columns,))
    raw = np.asarray(entry.get("basis", np.zeros((0, n_columns))), dtype=np.float64)
    raw = np.atleast_2d(raw) if raw.size else raw.reshape(0, n_columns)
    basis = _orthonormal(_array(raw, f"{name}['basis']", (len(raw), n_columns)), name)
    latent = entry.get("latent_variances")
    if latent is not None:
        latent = _positive(latent, f"{name}['latent_variances']", (len(basis),))
        if len(raw) > 1 and not np.allclose(basis, raw / np.linalg.norm(raw, axis=1)[:, None]):
            raise ValueError(
                f"{name}['basis'] must be orthogonal where latent_variances are given."
            )
    noise = None
    if name != "fixed":
        if "noise_variance" not in entry or (latent is None and len(basis)):
            raise ValueError(
                f"{name} needs 'noise_variance' and, with a 'basis', 'latent_variances'"
                + (": only its weight is learned." if name == "background" else ".")
            )
        noise = float(_positive(entry["noise_variance"], f"{name}['noise_variance']", ()))
        latent = np.zeros(0) if latent is None else latent
    return GivenComponent(mean, basis, latent, noise)


def _orthonormal(rows: np.ndarray, name: str) -> np.ndarray:
    if len(rows) == 0:
        return rows
    if len(rows) > rows.shape[1] or np.linalg.matrix_rank(rows) < len(rows):
        raise ValueError(f"{name}['basis'] has linearly dependent rows; pass independent ones.")
    if np.allclose(rows @ rows.T, np.eye(len(rows)), rtol=0, atol=1e-12):
        return rows
    q, r = np.linalg.qr(rows.T)
    return (q * np.sign(np.diag(r))).T


def _array(value: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(value, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} contains NaN or infinity; pass finite numbers.")
    return array


def _positive(value: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    array = _array(value, name, shape)
    if (array <= 0).any():
        raise ValueError(f"{name} must be positive, got {array.min():g}.")
    return array
