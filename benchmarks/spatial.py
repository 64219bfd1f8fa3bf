"""Spatial factors on the simulations of Townes and Engelhardt (2023), beside published figures.

python benchmarks/spatial.py [spatial] [mixed] [--write]

The simulations are in a folder that LOWDIM_DATASETS names; rows 1 to 1,231 are fitted and the last
65 are held out, as in the paper. Its figures are those of its supplementary tables (NSF and NSFH
with all places as inducing points; CPU seconds are of its machines).
"""

from __future__ import annotations

import argparse

import numpy as np
from _machine import cpu_time
from _parts import Part, arguments, run
from _simulations import TRAIN, deviance, least_correlation, scenario
from _tables import Table, seconds

import lowdim as ld
from lowdim.metrics import nsf_paper_deviance, sparsity

#: Held-out deviance (the paper's own) and CPU seconds of NSF, scenarios 1 to 15.
NSF = [
    (5.60, 772), (4.81, 974), (5.78, 1761), (6.23, 1347), (5.56, 1886),
    (2.49, 1027), (4.03, 996), (4.75, 977), (5.67, 984), (4.19, 1706),
    (6.03, 1963), (5.52, 1937), (5.01, 1928), (4.39, 1000), (6.48, 1963),
]  # fmt: skip
#: The same of NSFH, with its distance of spatial importances.
NSFH = {
    1: (15.63, 1673, 18.89),
    2: (13.13, 1631, 0.31),
    6: (5.86, 1176, 4.59),
    7: (5.82, 1917, 4.83),
    11: (17.45, 1185, 1.01),
    12: (17.71, 1260, 1.13),
    16: (8.56, 1163, 8.27),
    17: (9.64, 1101, 7.4),
    21: (16.82, 2619, 46.93),
    22: (16.58, 2251, 40.87),
    26: (7.8, 2588, 45.82),
    27: (7.27, 2620, 36.72),
}


def spatial_share(factors: np.ndarray, loadings: np.ndarray, n_spatial: int) -> np.ndarray:
    """How much of every column is spatial: loadings by factors that sum to one."""
    parts = loadings * factors.sum(0)
    return (parts / parts.sum(1, keepdims=True))[:, :n_spatial].sum(1)


def spatial(_: argparse.Namespace) -> Table:
    """SpatialFactorization."""
    table = Table(
        "spatial-simulations",
        "SpatialFactorization on the paper's simulations, 1,231 x 200",
        [
            "scenario",
            "L",
            "held out",
            "NSF",
            "Poisson deviance",
            "least r",
            "zeros",
            "CPU",
            "NSF CPU",
        ],
        "Defaults, `random_state=0`, float64, one thread. Held out: the paper's deviance, for NSF "
        "as published. Least r: of true and fitted factors, matched one to one. CPU seconds of NSF "
        "are the paper's, from other machines.",
    )
    table.begin([8, 2, 8, 8, 16, 7, 6, 8, 8])
    for number, (published, cpu) in enumerate(NSF, start=1):
        data = scenario(f"bm_sp_S{number:02d}")
        counts, places, truth = data["counts"], data["coordinates"], data["spatial_factors"]
        model = ld.SpatialFactorization(truth.shape[1], random_state=0)
        cost, _ = cpu_time(lambda m=model, y=counts, x=places: m.fit(y[:TRAIN], x[:TRAIN]))
        rates = model.predict(places[TRAIN:])
        table.add(
            *(f"S{number}", str(truth.shape[1])),
            f"{nsf_paper_deviance(counts[TRAIN:], rates):.2f}",
            f"{published:.2f}",
            f"{deviance(counts[TRAIN:], rates):.2f}",
            f"{least_correlation(truth[:TRAIN], np.exp(model.log_factors_)):.3f}",
            f"{sparsity(model.loadings_):.2f}",
            *(seconds(cost), seconds(cpu)),
        )
    return table


def mixed(_: argparse.Namespace) -> Table:
    """HybridSpatialFactorization."""
    table = Table(
        "spatial-mixed",
        "HybridSpatialFactorization on the paper's mixed simulations, 1,231 x 500",
        ["scenario", "L, T", "held out", "NSFH", "distance", "NSFH distance", "CPU", "NSFH CPU"],
        "As above. Distance: of the columns' spatial importances from the true ones, summed.",
    )
    table.begin([8, 6, 8, 8, 8, 13, 8, 8])
    for number, (published, cpu, far) in NSFH.items():
        data = scenario(f"bm_mixed_S{number:02d}")
        counts, places = data["counts"], data["coordinates"]
        truth = np.hstack([data["spatial_factors"], data["nonspatial_factors"]])
        loadings = np.hstack([data["spatial_loadings"], data["nonspatial_loadings"]])
        t = data["spatial_factors"].shape[1]
        model = ld.HybridSpatialFactorization(truth.shape[1], t, random_state=0)
        cost, _ = cpu_time(lambda m=model, y=counts, x=places: m.fit(y[:TRAIN], x[:TRAIN]))
        expected = spatial_share(truth[:TRAIN], loadings, t)
        found = spatial_share(np.exp(model.log_factors_), model.loadings_, t)
        table.add(
            *(f"S{number}", f"{truth.shape[1]}, {t}"),
            f"{nsf_paper_deviance(counts[TRAIN:], model.predict(places[TRAIN:])):.2f}",
            f"{published:.2f}",
            f"{np.abs(found - expected).sum():.2f}",
            f"{far:.2f}",
            *(seconds(cost), seconds(cpu)),
        )
    return table


def main() -> None:
    """Run the parts that were asked for."""
    parts: dict[str, Part] = {"spatial": spatial, "mixed": mixed}
    parser = arguments(__doc__, parts)
    run(parser, parts)


if __name__ == "__main__":
    main()
