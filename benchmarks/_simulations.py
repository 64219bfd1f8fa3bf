"""The simulations of Townes and Engelhardt (2023), and how a fit of them is judged."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from lowdim.metrics import factor_correlations, poisson_deviance

DATASETS = Path(__file__).resolve().parents[2] / "shared" / "datasets"
#: Rows that are fitted; the others are held out, as in the paper.
TRAIN = 1231
#: Least rate that a model of logarithms may say; its own may be negative.
LEAST_RATE = 1e-3


def scenario(name: str) -> dict[str, np.ndarray]:
    """Counts, places and the truth."""
    folder = Path(os.environ.get("LOWDIM_DATASETS", DATASETS)) / "nsf_simulations"
    with np.load(folder / f"{name}.npz") as stored:
        return {key: stored[key].astype(np.float64) for key in stored.files}


def deviance(counts: np.ndarray, rates: np.ndarray) -> float:
    """Poisson deviance, mean over all entries."""
    return float(poisson_deviance(counts, rates) / counts.size)


def least_correlation(truth: np.ndarray, found: np.ndarray) -> float:
    """Of factors matched one to one."""
    return float(factor_correlations(truth, found).min())


def shares(factors: np.ndarray, loadings: np.ndarray) -> np.ndarray:
    """Which part of every column is due to which nonnegative factor; rows sum to one."""
    parts = loadings * factors.sum(0)
    return parts / np.maximum(parts.sum(1, keepdims=True), 1e-300)


def rates_of_logs(logs: np.ndarray, least: float = LEAST_RATE) -> np.ndarray:
    """Rates from values of log(1 + count), without the rows' own totals."""
    return np.maximum(np.expm1(logs), least)
