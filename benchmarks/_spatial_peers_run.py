"""One fit of a peer, in an interpreter that has it: _spatial_peers_run.py METHOD IN.npz OUT.npz.

Knows nothing of lowdim. IN has `counts` and `places` of the rows to fit, `elsewhere` (places of
rows that are held out), `n_factors` and `cap`, seconds. OUT has `factors`, `loadings`, the expected
`rates` elsewhere, and what it took.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

Fit = dict[str, Any]


class Late(Exception):
    """The cap was hit."""


def late(*_: Any) -> None:
    """The alarm."""
    raise Late


def clock(fit: Callable[[], Any]) -> Fit:
    """CPU and wall seconds of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    capped = False
    try:
        fit()
    except Late:
        capped = True
    signal.alarm(0)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu": cpu, "wall": wall, "late": capped}


def mefisto(data: Fit, **smooth: Any) -> Fit:
    """mofapy2 with the settings of its tutorials; log(1 + count), which it centres itself."""
    from mofapy2.run.entry_point import entry_point

    values = np.log1p(data["counts"])
    model = entry_point()
    model.set_data_options()
    model.set_data_matrix([[values.copy()]], likelihoods=["gaussian"])
    model.set_covariates([data["places"].copy()])
    model.set_model_options(factors=int(data["n_factors"]), ard_weights=False)
    model.set_train_options(seed=1)
    model.set_smooth_options(**smooth)

    def train() -> None:
        model.build()
        model.run()

    signal.signal(signal.SIGALRM, late)
    signal.alarm(int(data["cap"]))
    took = clock(train)
    nodes = model.model.nodes
    loadings = nodes["W"].getExpectations()[0]["E"]
    found = {**took, "factors": nodes["Z"].getExpectations()["E"], "loadings": loadings}
    if took["late"]:  # cut off within a step, when the process and its inverse may disagree
        return found
    # predict_factor answers in the order of np.unique.
    elsewhere, order = np.unique(data["elsewhere"], axis=0, return_inverse=True)
    model.predict_factor(elsewhere, uncertainty=False)
    new = model.Zpredictions["mean"][order.ravel()]
    logs = new @ loadings.T + values.mean(0)
    return {**found, "logs": logs, "scales": nodes["Sigma"].get_ls()}


def mofaflex(data: Fit, preset: str, n_inducing: int | None = None) -> Fit:
    """MOFA-FLEX with its own preset for this model, and by default as many inducing points."""
    import mofaflex as mf
    import torch
    from anndata import AnnData
    from mofaflex._core import mofaflex as core
    from mofaflex._core import presets

    class Stopper(core.EarlyStopper):
        """Its own rule, and the cap."""

        late = False

        def step(self, metrics: float) -> bool:
            Stopper.late = time.perf_counter() > deadline
            return Stopper.late or super().step(metrics)

    core.EarlyStopper = Stopper

    torch.set_num_threads(1)
    counted = preset == "NSF"
    values = data["counts"] if counted else np.log1p(data["counts"])
    table = AnnData(values.astype(np.float32))
    table.obsm["spatial"] = data["places"].astype(np.float32)
    model_options, training, smooth = getattr(presets, preset)
    model_options.n_factors = int(data["n_factors"])
    model_options.weight_prior = "Horseshoe"  # one preset has it in a spelling that is refused
    training.device = torch.device("cpu")
    training.seed, training.save_path = 0, False
    if n_inducing is not None:
        smooth.n_inducing = n_inducing
    made: list[Any] = []

    def train() -> None:
        options = mf.DataOptions(
            covariates_obsm_key="spatial", plot_data_overview=False, subset_var=None
        )
        made.append(
            mf.MOFAFLEX({"all": {"genes": table}}, options, model_options, training, smooth)
        )

    deadline = time.perf_counter() + float(data["cap"])
    took = clock(train) | {"late": Stopper.late}
    model = made[0]
    factors, loadings = (
        model.get_factors("numpy")["all"],
        model.get_weights("numpy")["genes"],
    )
    loadings = loadings.T if loadings.shape[0] == int(data["n_factors"]) else loadings
    places = torch.as_tensor(data["elsewhere"].astype(np.float32))
    new = model.get_gps("numpy", x={"all": places})["all"]
    found = {
        **took,
        "factors": factors,
        "loadings": loadings,
        "scales": model.gp_lengthscale.ravel(),
        "iterations": len(model.training_loss),
    }
    if counted:  # rates are shares of a row's mean count, which new places do not have
        relative = np.maximum(np.maximum(new, 0) @ loadings.T, 0)
        return {**found, "rates": relative * data["counts"].mean(), "relative": relative}
    scale = float(np.asarray(model._preprocessor_state["scale"]["all"]["genes"]))
    return {**found, "logs": scale * new @ loadings.T + values.mean(0)}


METHODS: dict[str, Callable[[Fit], Fit]] = {
    "mofapy2": mefisto,
    "mofapy2-sparse": lambda data: mefisto(data, sparseGP=True),
    "mofapy2-sparse-25": lambda data: mefisto(data, sparseGP=True, frac_inducing=0.25),
    "mofaflex-nsf-100": lambda data: mofaflex(data, "NSF", 100),
    "mofaflex-mefisto-100": lambda data: mofaflex(data, "MEFISTO", 100),
    "mofaflex-nsf": lambda data: mofaflex(data, "NSF"),
    "mofaflex-mefisto": lambda data: mofaflex(data, "MEFISTO"),
}


def main() -> None:
    """Fit, and write what came out."""
    method, source, target = sys.argv[1:]
    with np.load(source) as stored:
        data = dict(stored)

    log = sys.stderr if os.environ.get("PEERS_LOG") else io.StringIO()
    with contextlib.redirect_stdout(log):
        found = METHODS[method](data)
    found["version"] = f"{method.split('-')[0]} {version(method.split('-')[0])}"
    np.savez(target, **found)


if __name__ == "__main__":
    main()
