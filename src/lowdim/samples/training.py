"""Learn a ground metric under ggml-ot's argument names."""

from __future__ import annotations

from typing import Any

from lowdim.samples.dataset import SampleDataset
from lowdim.samples.ground_metric import GroundMetric

#: ggml-ot's names of norms.
NORMS = {1: "l1", "1": "l1", "l1": "l1", 2: "fro", "2": "fro", "fro": "fro", "nuc": "nuc"}


def train_gmm(
    dataset: SampleDataset,
    alpha: float = 10.0,
    reg: float = 1e-3,
    reg_type: Any = "fro",
    n_comps: int = 5,
    *,
    lr: float = 0.1,
    max_iter: int = 30,
    stop_thr: float | None = 1e-6,
    mi_reg: float = 0.0,
    diag_bures_approx: bool = False,
    entropic_reg: float = 0.0,
    squared_ground_cost: bool = False,
    batch_size: int = 512,
    random_state: Any = 0,
    verbose: bool = False,
) -> GroundMetric:
    """A `GroundMetric` of the mixtures of samples, as `ggml_ot.train_gmm` trains one.

    Parameters
    ----------
    dataset
        With labels, and with mixtures from `lowdim.tl.fit_gmm`.
    alpha, reg, lr, max_iter, mi_reg, batch_size, random_state
        As of `GroundMetric`. The mutual information is averaged by the weights of components;
        ggml-ot's default, the lengths of the mapped means, would depend on where the origin is.
    reg_type : {"fro", "l1", "nuc"}
        Also 1 or "1" for "l1", 2 or "2" for "fro".
    n_comps
        `n_components`.
    stop_thr
        `tol`; None never stops early.
    diag_bures_approx
        `diagonal`.
    entropic_reg
        `entropic`: relative to the mean cost of each pair, in training as in evaluation.
    squared_ground_cost
        ``cost="mw2"``: distances are the roots of what ggml-ot takes, and metrics. Otherwise
        ``cost="mixed"``, which is the same.

    Returns
    -------
    The fitted `GroundMetric`; ggml-ot's W is its `components_`.

    Raises
    ------
    TypeError, ValueError
        There are no mixtures or labels, or an argument cannot be used.
    """
    _check(dataset)
    if dataset.gmm is None:
        raise ValueError("dataset has no mixtures; fit them with lowdim.tl.fit_gmm, or use train.")
    return GroundMetric(
        n_comps,
        cost="mw2" if squared_ground_cost else "mixed",
        diagonal=diag_bures_approx,
        entropic=entropic_reg,
        alpha=alpha,
        reg=reg,
        reg_type=_norm(reg_type),
        mi_reg=mi_reg,
        lr=lr,
        max_iter=max_iter,
        tol=stop_thr or 0.0,
        batch_size=batch_size,
        n_init=1,
        random_state=random_state,
        verbose=int(verbose),
    ).fit(dataset)


def train(
    dataset: SampleDataset,
    alpha: float = 1.0,
    reg: float = 1e-3,
    reg_type: Any = "fro",
    n_comps: int = 5,
    *,
    n_cells: int | None = 250,
    lr: float = 0.1,
    max_iter: int = 30,
    stop_thr: float | None = 1e-6,
    entropic_reg: float = 0.0,
    squared_ground_cost: bool = False,
    batch_size: int = 512,
    random_state: Any = 0,
    verbose: bool = False,
) -> GroundMetric:
    """A `GroundMetric` of the cells of samples, as `ggml_ot.train` trains one.

    Parameters
    ----------
    dataset
        With labels.
    n_cells
        Cells of each sample that are drawn; None takes all.
    squared_ground_cost
        ``cost="w2"`` in place of "w1".
    alpha, reg, reg_type, n_comps, lr, max_iter, stop_thr, entropic_reg, batch_size, random_state
        As of `train_gmm`.

    Returns
    -------
    The fitted `GroundMetric`.

    Raises
    ------
    TypeError, ValueError
        There are no labels, or an argument cannot be used.
    """
    _check(dataset)
    return GroundMetric(
        n_comps,
        cost="w2" if squared_ground_cost else "w1",
        entropic=entropic_reg,
        alpha=alpha,
        reg=reg,
        reg_type=_norm(reg_type),
        lr=lr,
        max_iter=max_iter,
        tol=stop_thr or 0.0,
        batch_size=batch_size,
        n_init=1,
        n_cells=n_cells,
        random_state=random_state,
        verbose=int(verbose),
    ).fit(dataset)


def _check(dataset: Any) -> None:
    if not isinstance(dataset, SampleDataset):
        raise TypeError(
            f"dataset is a {type(dataset).__name__}; make a lowdim.SampleDataset, or fit a "
            "lowdim.GroundMetric."
        )


def _norm(reg_type: Any) -> str:
    if reg_type not in NORMS:
        raise ValueError(f"reg_type={reg_type!r} is not a choice; pass 'fro', 'l1' or 'nuc'.")
    return NORMS[reg_type]
