"""A ground metric beside ggml-ot's: who is told right, and what an epoch takes.

python benchmarks/sample_metric.py [metric] [cells] [costs] [--write]

ggml-ot takes part, and its own draws of its hard task are used, where it can be imported: run this
with an interpreter that has it.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from _machine import cpu_time
from _parts import Part, arguments, run
from _peers import silence
from _tables import Table, ratio, seconds
from sklearn.model_selection import StratifiedShuffleSplit

import lowdim as ld
from lowdim.samples import knn_predict
from lowdim.transport import Clouds, Mixtures, mixture_distances

#: Draws of the task; splits of each into training and test samples; neighbours.
SEEDS, SPLITS, TRAIN, NEIGHBOURS = (42, 43, 44), 3, 0.7, 5
#: Axes of the map and margin.
AXES, MARGIN = 2, 10.0
#: Settings of the hard task in ggml-ot's tests.
HARD = {
    "n_dim": 16,
    "n_patients": 40,
    "n_samples": 500,
    "n_modes": 12,
    "signal_mass_ratio": 0.08,
    "signal_means_offset": 22.5,
    "signal_means_jitter": 1.8,
    "noise_means_offset": 1.62,
    "noise_means_jitter": 1.8,
    "signal_mean_shift": 0.1,
    "signal_cov_scale": 1.2,
    "signal_anisotropy": 12.0,
    "cov_rotation_jitter": 10.0,
    "cov_scale_jitter": 0.15,
    "global_rotation": 30.0,
}

#: Of samples, of training samples and of labels: a map, and CPU seconds per epoch.
Trainer = Callable[[Mixtures, np.ndarray, int], tuple[np.ndarray, float]]


def peer() -> bool:
    """Whether ggml-ot is there."""
    return find_spec("ggml_ot") is not None


def task(seed: int) -> tuple[Mixtures, np.ndarray]:
    """Mixtures as they were drawn, and labels."""
    if peer():
        from ggml_ot.data.synthetic_gmm import synth_gmm

        drawn = synth_gmm(**HARD, random_seed=seed)["patient_gmms"]
        parts = (np.stack([one[name] for one in drawn]) for name in ("weights", "means", "covs"))
        return Mixtures.of(*parts), np.array([one["label"] for one in drawn])
    truth = ld.data.simulate_hard_cohort(random_state=seed).uns["truth"]
    parts = (truth[name] for name in ("weights", "means", "covariances"))
    return Mixtures.of(*parts), np.asarray(truth["labels"])


def splits(labels: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and test samples."""
    made = StratifiedShuffleSplit(SPLITS, train_size=TRAIN, random_state=42)
    return list(made.split(labels, labels))


def by_lowdim(max_iter: int, **options: object) -> Trainer:
    """Trains a map."""

    def train(mixtures: Mixtures, labels: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
        model = ld.GroundMetric(AXES, alpha=MARGIN, max_iter=max_iter, random_state=seed, **options)
        spent, _ = cpu_time(lambda: model.fit(mixtures, labels))
        return model.components_, spent / (max_iter + 1) / len(model.losses_)

    return train


def by_ggml(max_iter: int, **options: object) -> Trainer:
    """The same by ggml-ot."""
    import ggml_ot
    import torch
    from ggml_ot.data import TripletDataset

    def train(mixtures: Mixtures, labels: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
        torch.set_num_threads(1)  # its import sets four
        torch.manual_seed(seed)
        data = TripletDataset(
            mixtures.means, labels, weights=mixtures.weights, covariances=mixtures.covariances
        )
        settings = {"alpha": MARGIN, "n_comps": AXES, "max_iter": max_iter, "plot_iter": 0}
        spent, (W, _) = cpu_time(lambda: ggml_ot.train_gmm(data, **settings, **options))
        return np.asarray(W, dtype=np.float64), spent / max_iter

    return train


def accuracy(
    mixtures: Mixtures, labels: np.ndarray, split: tuple[np.ndarray, np.ndarray], cost: str
) -> float:
    """Share of the test samples that their neighbours in training tell right."""
    told = knn_predict(
        mixture_distances(mixtures, cost=cost), labels, *split, n_neighbors=NEIGHBOURS
    )
    return float((told == labels[split[1]]).mean())


def metric(options: argparse.Namespace) -> Table:
    """From the mixtures as drawn."""
    table = Table(
        "samples-metric",
        "ggml-ot's hard task, from mixtures as drawn: 5-nearest-neighbour accuracy",
        ["map", "accuracy", "by draw", "CPU of an epoch", "times lowdim's"],
        f"40 samples of 12 components in 16 features, {'ggml-ot' if peer() else 'lowdim'}'s draws "
        f"with seeds {SEEDS}, {SPLITS} splits of each, 28 samples to learn from; {AXES} axes, "
        f"margin {MARGIN:g}, the mixed cost unless said; lowdim keeps the best of three starts "
        "unless said. One thread, one process, in turn: median CPU per epoch of one start with all "
        "that a fit does besides, median (range) of ratios.",
    )
    table.begin([34, 8, 22, 15, 22])
    methods: dict[str, Trainer] = {
        "lowdim, 30 epochs": by_lowdim(30),
        "lowdim, 30 epochs, one start": by_lowdim(30, n_init=1),
        "lowdim, 100 epochs": by_lowdim(100),
        "lowdim, 30 epochs, diagonal, mi 1": by_lowdim(30, diagonal=True, mi_reg=1.0),
    }
    if peer():
        methods["ggml-ot, 30 epochs"] = by_ggml(30)
        methods["ggml-ot, 30 epochs, diagonal, mi 1"] = by_ggml(
            30, diag_bures_approx=True, mi_reg=1.0
        )
    plain = {"no map, mixed": "mixed", "no map, MW2": "mw2"}
    scores: dict[str, list[list[float]]] = {name: [] for name in [*plain, *methods]}
    times: dict[str, list[float]] = {name: [] for name in methods}
    for seed in SEEDS:
        mixtures, labels = task(seed)
        for own in scores.values():
            own.append([])
        for number, (train, test) in enumerate(splits(labels)):
            for name, cost in plain.items():
                scores[name][-1].append(accuracy(mixtures, labels, (train, test), cost))
            for name, learn in methods.items():
                with silence():
                    if not times[name]:
                        learn(mixtures.take(train), labels[train], number)  # compiled, loaded
                    W, spent = learn(mixtures.take(train), labels[train], number)
                mapped = mixtures.mapped(W)
                mapped = mapped.diagonal() if "diagonal" in name else mapped
                scores[name][-1].append(accuracy(mapped, labels, (train, test), "mixed"))
                times[name].append(spent)
    base = times["lowdim, 30 epochs"]
    for name, found in scores.items():
        by_draw = ", ".join(f"{np.mean(own):.3f}" for own in found)
        spent = times.get(name, [])
        table.add(
            name,
            f"{np.mean(found):.3f}",
            by_draw,
            seconds(float(np.median(spent))) if spent else "-",
            ratio([own / first for own, first in zip(spent, base, strict=True)]) if spent else "-",
        )
    return table


def cells(options: argparse.Namespace) -> Table:
    """From cells: mixtures are fitted first."""
    table = Table(
        "samples-metric-cells",
        "The hard task from cells: mixtures with K = 12, then a map of 100 epochs",
        ["draw", "accuracy", "CPU of all fits", "CPU of an epoch"],
        "500 cells of each of 40 samples, drawn from the mixtures; otherwise as above.",
    )
    table.begin([8, 10, 16, 16])
    learn, everything = by_lowdim(100), []
    for seed in SEEDS:
        mixtures, labels = task(seed)
        rng = np.random.default_rng(seed)
        rows, samples = [], np.repeat([f"{s:02d}" for s in range(len(labels))], 500)
        for s in range(len(labels)):
            of = rng.choice(mixtures.most, size=500, p=mixtures.weights[s])
            factors = np.linalg.cholesky(mixtures.covariances[s])
            noise = rng.normal(size=(500, mixtures.means.shape[2]))
            rows.append(mixtures.means[s][of] + np.einsum("nij,nj->ni", factors[of], noise))
        model = ld.SampleGaussianMixtures(12, random_state=seed, n_init=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitting, _ = cpu_time(lambda m=model, r=rows, s=samples: m.fit(np.concatenate(r), s))
        fitted, found, times = model.mixtures(), [], []
        for number, (train, test) in enumerate(splits(labels)):
            with silence():
                W, spent = learn(fitted.take(train), labels[train], number)
            found.append(accuracy(fitted.mapped(W), labels, (train, test), "mixed"))
            times.append(spent)
        everything += found
        table.add(
            str(seed), f"{np.mean(found):.3f}", seconds(fitting), seconds(float(np.median(times)))
        )
    table.add("all", f"{np.mean(everything):.3f}", "", "")
    return table


def costs(options: argparse.Namespace) -> Table:
    """What an epoch takes as the problem grows."""
    table = Table(
        "samples-metric-costs",
        "CPU of an epoch of the ground metric",
        ["samples", "of each", "axes", "cost", "CPU of an epoch", "per pair"],
        "Fits of 15 epochs on one thread, all pairs in each; of points, plans are kept from epoch "
        "to epoch.",
    )
    table.begin([8, 18, 5, 6, 16, 10])
    rng = np.random.default_rng(0)
    for S, K, D, r, cost in (
        (40, 12, 16, 2, "mixed"), (40, 12, 16, 5, "mixed"), (40, 12, 16, 5, "mw2"),
        (200, 10, 30, 2, "mixed"), (12, 250, 16, 2, "w1"), (12, 250, 16, 5, "w1"),
    ):  # fmt: skip
        labels = np.arange(S) % 2
        means = rng.normal(size=(S, K, D)) + labels[:, None, None]
        measures: Mixtures | Clouds = Clouds.of(list(means))
        if cost in ("mixed", "mw2"):
            roots = rng.normal(size=(S, K, D, D)) / np.sqrt(D)
            spread = roots @ roots.swapaxes(-1, -2)
            measures = Mixtures.of(np.full((S, K), 1 / K), means, spread)
        model = ld.GroundMetric(r, cost=cost, max_iter=15, n_init=1, random_state=0)
        with silence():
            model.set_params(max_iter=1).fit(measures, labels)
            spent, _ = cpu_time(lambda m=model, x=measures, y=labels: m.set_params(
                max_iter=15).fit(x, y))  # fmt: skip
        epoch, kind = spent / 16, "components" if cost in ("mixed", "mw2") else "points"
        table.add(
            str(S), f"{K} {kind}", str(r), cost, seconds(epoch), seconds(2 * epoch / S / (S - 1))
        )
    return table


PARTS: dict[str, Part] = {"metric": metric, "cells": cells, "costs": costs}

if __name__ == "__main__":
    run(arguments(__doc__, PARTS), PARTS)
