"""A mixture per sample: time and likelihood beside scikit-learn and ggml-ot, and memory.

python benchmarks/samples.py [fits] [memory] [large] [--write]

ggml-ot takes part where it can be imported: run this with an interpreter that has it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from _machine import cpu_time
from _parts import Part, arguments, run
from _peers import silence
from _tables import Table, ratio, seconds

import lowdim as ld

#: All fits: restarts, when EM stops, and what is added to variances, in units of the data.
N_INIT, TOL, EPS, MAX_ITER = 1, 1e-3, 1e-4, 100
REPEATS = 3
#: Of the largest problem: samples, cells of each, features, components, threads.
LARGE = (500, 2000, 30, 10, 2)

GLOBAL = """
import numpy as np, lowdim as ld, sys
sys.path.insert(0, "benchmarks")
from _machine import peak_bytes, resident_bytes
rng = np.random.default_rng(0)
ld.tl.fit_gmm(rng.normal(size=(200, 50)), ["a"] * 200, k_comps=2, verbose=False)
centres, labels = 4 * rng.normal(size=(10, 50)), rng.integers(10, size=10_000)
X, samples = centres[labels] + rng.normal(size=(10_000, 50)), rng.integers(20, size=10_000)
before = resident_bytes()
ld.tl.fit_gmm(X, samples, k_comps=10, verbose=False)
print(before, peak_bytes())
"""


def cohorts() -> dict[str, tuple[np.ndarray, np.ndarray, int]]:
    """Rows, their samples, and the number of components, by name."""
    hard = ld.data.simulate_hard_cohort(40, 500, random_state=42)
    plain = ld.data.simulate_cohort(20, 1000, 30, n_components=10, random_state=0)
    made = {"hard task 40 x 500 x 16": (hard, 12), "cohort 20 x 1000 x 30": (plain, 10)}
    found = {}
    for name, (adata, k) in made.items():
        order = np.argsort(adata.obs["sample"].astype(str).to_numpy(), kind="stable")
        samples = adata.obs["sample"].astype(str).to_numpy()[order]  # ggml-ot needs them sorted
        found[name] = (np.asarray(adata.X, dtype=np.float64)[order], samples, k)
    return found


def by_lowdim(X: np.ndarray, samples: np.ndarray, k: int, seed: int) -> tuple[float, float]:
    """CPU seconds, and the mean log-likelihood per cell."""
    variance = np.mean([X[samples == name].var(0).mean() for name in np.unique(samples)])
    model = ld.SampleGaussianMixtures(
        k, n_init=N_INIT, tol=TOL, max_iter=MAX_ITER, reg_covar=EPS / variance, random_state=seed
    )
    spent, model = cpu_time(lambda: model.fit(X, samples))
    return spent, model.score(X, samples)


def by_sklearn(X: np.ndarray, samples: np.ndarray, k: int, seed: int) -> tuple[float, float]:
    """The same by a loop over scikit-learn's mixture."""
    from sklearn.mixture import GaussianMixture

    def fit() -> list[Any]:
        model = {"n_init": N_INIT, "tol": TOL, "max_iter": MAX_ITER, "reg_covar": EPS}
        return [
            GaussianMixture(k, random_state=seed, **model).fit(X[samples == name])
            for name in np.unique(samples)
        ]

    spent, models = cpu_time(fit)
    scores = [
        model.score_samples(X[samples == name])
        for name, model in zip(np.unique(samples), models, strict=True)
    ]
    return spent, float(np.concatenate(scores).mean())


def by_ggml(X: np.ndarray, samples: np.ndarray, k: int, seed: int) -> tuple[float, float]:
    """The same by ggml-ot; its likelihood is computed by us from its parameters, in float64."""
    import anndata as ad
    import ggml_ot
    import torch
    from ggml_ot.gmm import fit_gmm

    torch.set_num_threads(1)  # its import sets four
    ggml_ot.settings.random_seed = seed
    adata = ad.AnnData(X)
    adata.obs["sample"] = samples
    adata.obs["label"] = np.unique(samples, return_inverse=True)[1].astype(str)
    data = ggml_ot.from_anndata(adata, patient_col="sample", label_col="label", n_cells=10)
    settings = {"n_init": N_INIT, "tol": TOL, "max_iter": MAX_ITER, "eps": EPS}
    spent, _ = cpu_time(lambda: fit_gmm(data, k_comps=k, gmm_key="key", verbose=False, **settings))
    fitted = ld.SampleDataset.from_anndata(adata, sample_key="sample", gmm_key="key").gmm
    return spent, fitted.score(X, samples)


def fits(options: argparse.Namespace) -> Table:
    """All samples of two cohorts."""
    table = Table(
        "samples-fits",
        "A mixture per sample: CPU seconds of all fits",
        ["cohort", "method", "CPU", "times lowdim's", "log-likelihood per cell"],
        f"Full covariances, n_init={N_INIT}, tol={TOL:g}, {EPS:g} added to variances by all; one "
        f"thread, one process, {REPEATS} seeds in turn: median CPU, median (range) of ratios, mean "
        "log-likelihood (range).",
    )
    table.begin([24, 14, 8, 18, 26])
    methods: dict[str, Callable[..., tuple[float, float]]] = {
        "lowdim": by_lowdim,
        "scikit-learn": by_sklearn,
    }
    if find_spec("ggml_ot") is not None:
        methods["ggml-ot"] = by_ggml
    for name, (X, samples, k) in cohorts().items():
        own = samples == samples[0]
        with silence():
            for method in methods.values():
                method(X[own], samples[own], k, 0)  # compiled, loaded
            runs = [
                {method: fit(X, samples, k, seed) for method, fit in methods.items()}
                for seed in range(REPEATS)
            ]
        for method in methods:
            spent, scores = np.array([found[method] for found in runs]).T
            slower = [found[method][0] / found["lowdim"][0] for found in runs]
            table.add(
                f"{name}, K = {k}",
                method,
                seconds(float(np.median(spent))),
                ratio(slower),
                f"{scores.mean():.3f} ({scores.min():.3f} to {scores.max():.3f})",
            )
    return table


def memory(options: argparse.Namespace) -> Table:
    """What a shared mixture takes beyond the data."""
    table = Table(
        "samples-memory",
        "One mixture for all samples, 10,000 x 50, K = 10: memory beyond the data",
        ["before", "peak", "extra"],
        "Of a fresh process whose code is loaded: resident memory before the fit, and its peak.",
    )
    table.begin([8, 8, 8])
    ran = subprocess.run([sys.executable, "-c", GLOBAL], capture_output=True, text=True, check=True)
    before, peak = map(int, ran.stdout.split())
    table.add(*(f"{value / 1e6:.0f} MB" for value in (before, peak, peak - before)))
    return table


def large(options: argparse.Namespace) -> Table:
    """500 samples of 2,000 cells."""
    S, n, d, k, jobs = LARGE
    table = Table(
        "samples-large",
        f"{S} samples x {n} cells x {d} features, K = {k}: all fits",
        ["threads", "wall", "CPU", "log-likelihood per cell"],
    )
    table.begin([8, 10, 10, 24])
    adata = ld.data.simulate_cohort(S, n, d, n_components=k, random_state=0)
    rows, samples = np.asarray(adata.X), adata.obs["sample"].astype(str).to_numpy()
    model = ld.SampleGaussianMixtures(k, n_init=1, reg_covar=EPS, n_jobs=jobs, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        spent, _ = cpu_time(lambda: model.fit(rows, samples))
        wall = time.perf_counter() - start
    table.add(str(jobs), seconds(wall), seconds(spent), f"{model.log_likelihoods_.mean():.3f}")
    return table


PARTS: dict[str, Part] = {"fits": fits, "memory": memory, "large": large}

if __name__ == "__main__":
    run(arguments(__doc__, PARTS), PARTS)
