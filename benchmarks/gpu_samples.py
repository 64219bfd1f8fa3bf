"""A ground metric on a GPU: what a step of its descent takes, beside the CPU, and what it tells.

python benchmarks/gpu_samples.py [steps] [--rows N] [--cpu] [--write]

N is the number of samples.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from _card import device_name, quickest, run_on_card
from _tables import Table, seconds

import lowdim as ld
from lowdim.samples._map_objective import Loss, MapObjective
from lowdim.samples._map_on_device import MapTransportThere
from lowdim.samples._map_penalty import Penalty
from lowdim.samples._map_transport import MapTransport
from lowdim.samples._support import Support
from lowdim.transport import Clouds, Mixtures

#: Axes of the map, components and columns of the samples, and cells of each.
AXES, COMPONENTS, COLUMNS, CELLS = 5, 12, 16, 100
#: Strengths of the penalty on plans; 0 is none.
STRENGTHS = (0.0, 0.05, 0.3)
#: Steps that are taken before one is timed, from the plans of which exact ones begin.
BEFORE = 3


def cohort(n_samples: int) -> tuple[dict[str, Mixtures | Clouds], np.ndarray]:
    """Mixtures as they are drawn and cells of the same samples, and labels."""
    adata = ld.data.simulate_cohort(n_samples, CELLS, COLUMNS, n_components=COMPONENTS)
    truth = adata.uns["truth"]
    own = Mixtures.of(truth["weights"], truth["means"], truth["covariances"])
    names = np.unique(adata.obs["sample"])
    cells = Clouds.of([adata.X[(adata.obs["sample"] == name).to_numpy()] for name in names])
    shared = Mixtures.of(
        own.weights, np.repeat(own.means[:1], n_samples, 0),
        np.repeat(own.covariances[:1], n_samples, 0),
    )  # fmt: skip
    return {"mixtures": own, "shared components": shared, "cells": cells}, truth["labels"]


def stepped(objective: MapObjective, device: torch.device) -> tuple[Loss, float]:
    """What the last of some steps on a fixed way tells, and the seconds that it takes."""
    support, samples = objective.transport.support, np.arange(len(objective.labels))
    rng = np.random.default_rng(0)
    W = np.linalg.qr(rng.normal(size=(support.means.shape[1], AXES)))[0].T.copy()
    for _ in range(BEFORE):
        objective.of(W, samples)
        W = W + 0.02 * rng.normal(size=W.shape)
    told: list[Loss | None] = []

    def step() -> None:  # each a little further on, as a descent goes
        nonlocal W
        told.append(objective.of(W, samples))
        W = W * 1.001

    took = quickest(step, device)
    first = told[0]
    assert first is not None
    return first, took


def steps(options: argparse.Namespace) -> Table:
    """A step of the descent: costs, plans and the gradient of all pairs of samples."""
    n, device, host = options.rows, options.device, torch.device("cpu")
    note = (
        f"{n} samples, {n * (n - 1) // 2:,} pairs, a map of {COLUMNS} columns to {AXES} axes; "
        f"{COMPONENTS} components, or {CELLS} cells; wall time of the quickest of three steps; "
        f"{device_name(device)}; CPU with {torch.get_num_threads()} threads. Loss: from the same "
        "map. Gap: of losses and of gradients, relative to the CPU's."
    )
    columns = ["samples", "entropic", "CPU", "device", "x faster", "loss", "loss gap", "slope gap"]
    table = Table("gpu-samples", "A ground metric on a GPU", columns, note)
    table.begin([18, 8, 10, 10, 8, 12, 9, 9])
    measures, labels = cohort(n)
    for name, measure in measures.items():
        for strength in STRENGTHS:
            settings = {"cost": "mixed", "entropic": strength}
            here = MapTransport(Support.of(measure), **settings)
            there = MapTransportThere(Support.of(measure), **settings, device=device)
            (told, cpu), (other, own) = (
                stepped(MapObjective(transport, labels, 10.0, Penalty(1e-3, "fro", 0.0)), where)
                for transport, where in ((here, host), (there, device))
            )
            gap = abs(other.loss / told.loss - 1)
            slope = np.linalg.norm(other.gradient - told.gradient) / np.linalg.norm(told.gradient)
            cells = seconds(cpu), seconds(own), f"{cpu / own:.2f}", f"{told.loss:.6g}"
            table.add(name, f"{strength:g}", *cells, f"{gap:.0e}", f"{slope:.0e}")
    return table


def main() -> None:
    """Run the part."""
    run_on_card(__doc__, {"steps": steps}, 200, 20)


if __name__ == "__main__":
    main()
