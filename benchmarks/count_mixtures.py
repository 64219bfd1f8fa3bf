"""`NegativeBinomialMixture`: agreement with known groups, and time.

python benchmarks/count_mixtures.py [simulated] [selection] [real] [times] [large] [--write]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch
from _data import umi
from _machine import cpu_time, peak_bytes
from _parts import Part, arguments, run
from _tables import Table, seconds
from scipy.special import logsumexp
from scipy.stats import nbinom
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

import lowdim as ld

#: Depth, spread of the log fold changes, genes changed per group, and dispersion; made so hard that
#: k-means on log-PCA reaches about .70, .40, .73, .27 and .81.
SIMULATED: dict[str, dict[str, float]] = {
    "depth 1500": {"depth": 1500, "change": 1.0, "n_changed": 60, "phi": 0.3},
    "depth 500": {"depth": 500, "change": 0.94, "n_changed": 60, "phi": 0.3},
    "small changes": {"depth": 1500, "change": 0.6, "n_changed": 150, "phi": 0.3},
    "overdispersed": {"depth": 1500, "change": 1.0, "n_changed": 60, "phi": 2.0},
    "depth 300": {"depth": 300, "change": 1.4, "n_changed": 60, "phi": 0.3},
}
REAL = {
    "worm_neuron": "cell_type",
    "kang_control_8_donors": "cell_type",
    "mixology_sc_celseq2": "cell_line",
}
DATASETS = Path(__file__).resolve().parents[2] / "shared" / "datasets"
SEEDS = range(3)
#: Threads of the largest fit.
THREADS = 2


def log_pca(X: sp.csr_matrix) -> np.ndarray:
    """Log-normalised rows along 20 principal axes."""
    totals = np.maximum(np.asarray(X.sum(1), float), 1)
    rows = np.asarray(X.toarray(), np.float64)
    rows *= totals.mean() / totals.reshape(-1, 1)
    return PCA(20, random_state=0).fit_transform(np.log1p(rows))


def kmeans(X: sp.csr_matrix, k: int, seed: int) -> np.ndarray:
    """The baseline's labels."""
    return KMeans(k, n_init=10, random_state=seed).fit(log_pca(X)).labels_


def simulated(_: argparse.Namespace) -> Table:
    """Agreement on five simulated settings."""
    table = Table(
        "count-mixtures-simulated",
        "Count mixtures on simulated UMI counts, 3,000 x 2,000, six groups",
        ["setting", "nonzero", "k-means on log-PCA20", "NB", "Poisson", "NB - k-means", "NB CPU"],
        "Adjusted Rand index with the number of groups known, mean of three data sets; defaults.",
    )
    table.begin([16, 8, 20, 6, 8, 14, 9])
    for name, setting in SIMULATED.items():
        rows = []
        for seed in SEEDS:
            X, labels = umi(**setting, seed=seed)
            model = ld.NegativeBinomialMixture(6, random_state=seed)
            cost, nb = cpu_time(lambda m=model, X=X: m.fit_predict(X))
            flat = ld.NegativeBinomialMixture(6, dispersion="poisson", random_state=seed)
            found = kmeans(X, 6, seed), nb, flat.fit_predict(X)
            scores = [adjusted_rand_score(labels, own) for own in found]
            rows.append([X.nnz / np.prod(X.shape), *scores, cost])
        share, base, nb, flat, cost = np.mean(rows, axis=0)
        met = "met" if nb >= base + 0.08 else "MISSED"
        table.add(
            *(name, f"{share:.1%}", f"{base:.3f}", f"{nb:.3f}", f"{flat:.3f}"),
            *(f"{nb - base:+.3f} {met}", seconds(cost)),
        )
    return table


def selection(_: argparse.Namespace) -> Table:
    """How many groups the likelihood of held-out rows finds."""
    table = Table(
        "count-mixtures-selection",
        "Number of groups by the likelihood of held-out rows, 3,000 x 2,000, six groups",
        ["setting", "chosen", "target", "held out, per row, from 3 to 9 components"],
        "`select_mixture(X, NegativeBinomialMixture(n_init=1), n_components=range(3, 10))`, one "
        "data set, defaults otherwise.",
    )
    table.begin([16, 6, 8, 60])
    for name, setting in SIMULATED.items():
        X, _ = umi(**setting, seed=0)
        found = ld.select_mixture(
            X,
            ld.NegativeBinomialMixture(n_init=1, random_state=0),
            n_components=range(3, 10),
            warm_start=False,
        )
        met = "met" if abs(found.n_components_ - 6) <= 1 else "MISSED"
        values = " ".join(f"{value:.1f}" for value in found.table["heldout"])
        table.add(name, str(found.n_components_), met, values)
    return table


def real(_: argparse.Namespace) -> Table:
    """Agreement with published labels."""
    import anndata

    table = Table(
        "count-mixtures-real",
        "Count mixtures on real counts, all genes",
        ["data", "shape", "K", "k-means on log-PCA20", "NB", "target", "NB CPU"],
        "Adjusted Rand index with the number of labels known, mean of three seeds; defaults.",
    )
    table.begin([22, 14, 3, 20, 6, 7, 9])
    folder = Path(os.environ.get("LOWDIM_DATASETS", DATASETS))
    for name, key in REAL.items():
        adata = anndata.read_h5ad(folder / f"{name}.h5ad")
        labels = adata.obs[key].astype(str).to_numpy()
        X, k = sp.csr_matrix(adata.X), len(np.unique(labels))
        rows = []
        for seed in SEEDS:
            model = ld.NegativeBinomialMixture(k, random_state=seed)
            cost, nb = cpu_time(lambda m=model, X=X: m.fit_predict(X))
            scores = [adjusted_rand_score(labels, own) for own in (kmeans(X, k, seed), nb)]
            rows.append([*scores, cost])
        base, nb, cost = np.mean(rows, axis=0)
        target = "met" if nb >= base else "MISSED"
        shape = f"{X.shape[0]} x {X.shape[1]}"
        table.add(name, shape, str(k), f"{base:.3f}", f"{nb:.3f}", target, seconds(cost))
    return table


def times(_: argparse.Namespace) -> Table:
    """A fit, and an E-step against scipy's density on the dense matrix."""
    table = Table(
        "count-mixtures-times",
        "Time of count mixtures, 3,000 x 2,000, K = 6, one thread",
        ["what", "CPU", "ratio"],
        "Best of three, after a call that compiles. The E-steps give the same log-likelihoods.",
    )
    table.begin([34, 10, 8])
    X, _ = umi()
    model = ld.NegativeBinomialMixture(6, random_state=0).fit(X)
    for n_init in (1, 3):
        one = ld.NegativeBinomialMixture(6, n_init=n_init, random_state=0)
        table.add(f"fit, n_init={n_init}", seconds(best(lambda m=one: m.fit(X))), "")
    dense, sizes = X.toarray().astype(np.float64), model.size_factors_[:, None]

    def reference() -> np.ndarray:
        n = 1 / model.dispersions_
        parts = [nbinom.logpmf(dense, n, n / (n + sizes * mean)).sum(1) for mean in model.means_]
        return logsumexp(np.stack(parts, 1) + np.log(model.weights_), axis=1)

    ours = e_step(model, X)
    np.testing.assert_allclose(ours(), reference(), rtol=1e-9)
    own, theirs = best(ours), best(reference, 1)
    table.add("E-step", seconds(own), "")
    table.add("scipy.stats.nbinom, dense", seconds(theirs), f"{theirs / own:.0f}x")
    return table


def e_step(model: ld.NegativeBinomialMixture, X: sp.csr_matrix) -> Callable[[], np.ndarray]:
    """One E-step as the fit makes it: the rows are read and checked before."""
    from lowdim.data import as_rows
    from lowdim.mixture._counts.matrix import Counts
    from lowdim.mixture._counts.model import Sizes, log_joint, responsibilities

    counts, sizes, mixture = (
        Counts.read(as_rows(X)),
        Sizes.of(model.size_factors_),
        model._mixture(),
    )
    return lambda: responsibilities(log_joint(counts, sizes, mixture))[0]


def best(function: Callable[[], object], repeats: int = 3) -> float:
    """The least CPU time of several calls."""
    return min(cpu_time(function)[0] for _ in range(repeats))


def large(_: argparse.Namespace) -> Table:
    """100,000 cells."""
    table = Table(
        "count-mixtures-large",
        "Count mixture of 100,000 x 2,000 counts, K = 20",
        ["nonzero", "wall", "CPU", "iterations", "ARI", "peak memory of the process"],
        f"One start (n_init=1), defaults otherwise, {THREADS} threads; the data's memory included.",
    )
    table.begin([8, 9, 9, 10, 6, 26])
    X, labels = umi(100_000, k=20, depth=230, change=1.5)
    ld.NegativeBinomialMixture(2, n_init=1, random_state=0).fit(X[:2000])  # compiles
    torch.set_num_threads(THREADS)
    start = time.perf_counter()
    model = ld.NegativeBinomialMixture(20, n_init=1, random_state=0)
    cost, _ = cpu_time(lambda: model.fit(X))
    wall = time.perf_counter() - start
    torch.set_num_threads(1)
    table.add(
        f"{X.nnz / np.prod(X.shape):.1%}",
        *(seconds(wall), seconds(cost), str(model.n_iter_)),
        f"{adjusted_rand_score(labels, model.labels_):.3f}",
        f"{peak_bytes() / 2**30:.2f} GiB",
    )
    return table


def main() -> None:
    """Run the parts that were asked for."""
    parts: dict[str, Part] = {
        "simulated": simulated,
        "selection": selection,
        "real": real,
        "times": times,
        "large": large,
    }
    parser = arguments(__doc__, parts)
    run(parser, parts)


if __name__ == "__main__":
    main()
