"""Neighbour embeddings that are t-SNE, by its own descent."""

from __future__ import annotations

from typing import Any

from lowdim.embedding._pairs.layout import Start
from lowdim.embedding._tsne.settings import Settings
from lowdim.embedding.tsne import TSNE


def lay_out_by_tsne(model: Any, start: Start) -> None:
    """Write the layout to which `lowdim.TSNE` comes by the same affinities from the same start."""
    settings, output = start.settings, model._output_affinity()
    rate = 1.0 if settings.lr is None else settings.lr
    early = settings.phases[0]
    tsne = TSNE(
        settings.n_components,
        early_exaggeration=early.weight,
        early_exaggeration_iter=0 if early.last else early.n_iter,
        learning_rate="auto" if rate == 1.0 else rate * len(start.layout) / early.weight,
        max_iter=settings.max_iter,
        tol=0.0,
        dof=output.dof,
        callbacks=settings.callbacks,
        callbacks_every=settings.every,
        n_jobs=model.n_jobs,
        verbose=model.verbose,
    )
    tsne._descend(start.P, start.layout, Settings.of(tsne), start.journal)
    model.embedding_, model.loss_ = tsne.embedding_, tsne.kl_divergence_
    model.n_iter_, model.stop_reason_ = tsne.n_iter_, tsne.stop_reason_
    history = tsne.history_
    model.history_ = {
        "iteration": history["iteration"],
        "gradient_norm": history["gradient_norm"],
        "loss": history["kl_divergence"],
    }
    model._potentials = None
