"""Layouts that a network makes of rows, trained on minibatches. Import on first use only."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from lowdim._checkpoint import Arrays
from lowdim._device import resolve_device
from lowdim._progress import reports
from lowdim._threads import threads_for
from lowdim._validation import check_positive_int
from lowdim.data.estimator_rows import dense_rows, read_rows
from lowdim.data.sources import RowSource
from lowdim.embedding._course import Watch
from lowdim.embedding._crew import Crew
from lowdim.embedding._pairs.descent import new_course
from lowdim.embedding._pairs.layout import Start, forces_of, remember
from lowdim.embedding._pairs.optimizers import EDGE
from lowdim.embedding._pairs.optimizing import PhasedSteps
from lowdim.embedding._pairs.settings import PairSettings, Phase
from lowdim.embedding.output_affinities import OutputAffinity

logger = logging.getLogger("lowdim")

#: Rows that are encoded at once after the fit.
BLOCK = 4096
#: What a file calls numbers of the network, and states of what draws for its layers.
NETWORK, DRAWS, DRAWS_THERE = "network.", "draws", "draws on the device"
#: Most rows whose loss over all pairs is summed at the end.
MOST_ROWS = 20_000


def train(model: Any, start: Start, output: OutputAffinity, *, goes_on: bool = False) -> None:
    """Fit a copy of the estimator's encoder, and write the estimator's attributes.

    With `goes_on` it is a copy of the fitted encoder, and attraction is no longer exaggerated.
    """
    size = check_positive_int(model.batch_size, "batch_size", minimum=2)
    check_module(model.encoder)
    _check_encoder(model, output)
    device = resolve_device(model.device)
    network = copy.deepcopy(_fitted_encoder(model) if goes_on else model.encoder)
    network = network.to(device=device, dtype=torch.float32)
    if goes_on:
        phase = Phase(start.settings.max_iter, 1.0, last=True)
        start = replace(start, settings=replace(start.settings, phases=(phase,)))
    looks = start.settings.max_iter // start.settings.every
    with (
        threads_for(0),
        _seeded(start.journal.rng, device),
        reports(looks, description=type(model).__name__, enabled=bool(model.verbose)) as report,
    ):
        pairs = _Pairs(start, size, device)
        watch = Watch(start.settings.callbacks, start.settings.every, report)
        training = _Training(network, output, pairs, start.settings, watch)
        training.run(start.journal)
        layout = encoded(network, start.source, output)
        model.loss_ = _loss(model, start, output, layout)
    model.encoder_ = network
    model.embedding_, model._potentials = layout, None
    training.course.tell(model)
    remember(model, start, output)


def encode(model: Any, X: Any) -> np.ndarray:
    """What a fitted encoder makes of new rows, (m, c), float32."""
    source = read_rows(model, X, reset=False)
    with threads_for(0):
        return encoded(_fitted_encoder(model), source, model._output)


def _fitted_encoder(model: Any) -> Any:
    """The fitted network; a file has its numbers only, and gets one like it."""
    if isinstance(model.encoder_, dict):
        model.encoder_ = _with_numbers(model.encoder, model.encoder_)
    return model.encoder_


def numbers_of(network: Any) -> dict[str, np.ndarray]:
    """All that a network has learned, by name."""
    state = network.state_dict().items()
    return {f"{NETWORK}{name}": own.cpu().numpy().copy() for name, own in state}


def _with_numbers(encoder: Any, numbers: dict[str, np.ndarray]) -> Any:
    """A copy of a network with the numbers of another of its kind."""
    if not isinstance(encoder, torch.nn.Module):
        raise ValueError(
            "The file has the numbers of the encoder, not the network; pass one like that of the "
            "fit by set_params(encoder=...)."
        )
    network = copy.deepcopy(encoder).to(dtype=torch.float32)
    try:
        network.load_state_dict({key: torch.as_tensor(own) for key, own in numbers.items()})
    except RuntimeError as error:
        raise ValueError(f"encoder is not like that of the fit: {error}") from None
    return network


def encoded(network: Any, source: RowSource, output: OutputAffinity) -> np.ndarray:
    """Places of all rows, (N, c), float32; the network is in its mode for that afterwards."""
    network.eval()
    device = next(network.parameters()).device
    places = []
    with torch.no_grad():
        for begin in range(0, source.n_rows, BLOCK):
            own = np.arange(begin, min(begin + BLOCK, source.n_rows))
            rows = torch.as_tensor(dense_rows(source, own), dtype=torch.float32, device=device)
            places.append(_placed(network, rows, output).cpu().numpy())
    return np.concatenate(places).astype(np.float32)


@dataclass
class _Pairs:
    """Minibatches of stored pairs, drawn by their affinities."""

    start: Start
    size: int
    device: torch.device

    def __post_init__(self) -> None:
        P = self.start.P
        self._rows = np.repeat(np.arange(P.shape[0]), np.diff(P.indptr))
        self._columns = P.indices
        self._sums = np.cumsum(P.data, dtype=np.float64)

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows of points and their partners, (2, n, D), and pairs that are no negatives, (n, n)."""
        at = np.searchsorted(self._sums, self.start.journal.rng.random(self.size) * self._sums[-1])
        at = at.clip(max=len(self._sums) - 1)
        first, second = self._rows[at], self._columns[at]
        drawn, at = np.unique([first, second], return_inverse=True)
        rows = dense_rows(self.start.source, drawn)[at.reshape(2, self.size)]
        same = (first[:, None] == second) | np.eye(self.size, dtype=bool)
        return (
            torch.as_tensor(rows, dtype=torch.float32, device=self.device),
            torch.as_tensor(same, device=self.device),
        )


class _Training(PhasedSteps):
    """Descent on the loss of minibatches, whose other pairs stand for all pairs of points."""

    def __init__(
        self,
        network: Any,
        output: OutputAffinity,
        pairs: _Pairs,
        settings: PairSettings,
        watch: Watch,
    ) -> None:
        self._network, self._output, self._pairs = network, output, pairs
        self.settings, self._watch = settings, watch
        self.course = new_course()

    def _arrays(self) -> Arrays:
        device = self._pairs.device
        arrays = numbers_of(self._network)
        arrays[DRAWS] = torch.get_rng_state().numpy().copy()
        if device.type == "cuda":
            arrays[DRAWS_THERE] = torch.cuda.get_rng_state(device).numpy().copy()
        return {**arrays, **self.optimizing.state()}

    def _take(self, arrays: Arrays) -> None:
        own = {
            name.removeprefix(NETWORK): a for name, a in arrays.items() if name.startswith(NETWORK)
        }
        self._network.load_state_dict({name: torch.from_numpy(a.copy()) for name, a in own.items()})
        torch.set_rng_state(torch.from_numpy(arrays[DRAWS].copy()))
        if DRAWS_THERE in arrays:
            there = torch.from_numpy(arrays[DRAWS_THERE].copy())
            torch.cuda.set_rng_state(there, self._pairs.device)

    def _optimizer(self, phase: Phase) -> Any:
        self._network.train()
        return self.settings.make_encoder_optimizer(self._network.parameters(), phase)

    def _step(self, phase: Phase) -> bool:
        loss = self._loss(phase.weight)
        self.optimizing.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        numbers = self.optimizing.step()
        self.course.n_iter += 1
        return self.course.n_iter % self._watch.every != 0 or self._look(loss, numbers)

    def _loss(self, weight: float) -> torch.Tensor:
        """``-w mean log k`` of pairs, plus the logarithm of the mean of k over the others."""
        rows, same = self._pairs.draw()
        points = _placed(self._network, rows.flatten(0, 1), self._output)
        first, second = points.reshape(2, len(same), -1)
        logs = self._output.log_kernel(first[:, None], second[None])
        pull = -logs.diagonal().mean()
        logs = logs.masked_fill(same, -math.inf)
        others = (~same).sum(1)
        if self._output.normalization == "rows":
            known = others > 0
            sums = logs[known].logsumexp(1) - others[known].log()
            return weight * pull + sums.mean()
        return weight * pull + logs.flatten().logsumexp(0) - others.sum().log()

    def _look(self, loss: torch.Tensor, numbers: tuple[float, float]) -> bool:
        """Take down how far the training has come; whether to go on."""
        value = float(loss.detach())
        if not math.isfinite(value):
            raise ValueError(
                f"The loss is no longer finite after {self.course.n_iter} iterations: lr is too "
                "large; pass a smaller one."
            )
        grads = [own.grad for own in self._network.parameters() if own.grad is not None]
        norm = math.sqrt(sum(float(own.square().sum()) for own in grads))
        self.course.note(norm, value, *numbers)
        return self.course.goes_on(self._watch, self._layout, value)

    def _layout(self) -> np.ndarray:
        layout = encoded(self._network, self._pairs.start.source, self._output)
        self._network.train()
        return layout


def _placed(network: Any, rows: torch.Tensor, output: OutputAffinity) -> torch.Tensor:
    """Places of rows; in the ball they are taken along geodesics from its centre."""
    places: torch.Tensor = network(rows)
    if not output.in_ball:
        return places
    length = places.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return places * (length.tanh() * EDGE / length)


def check_module(encoder: Any) -> Any:
    """Raise TypeError unless it is a network."""
    if not isinstance(encoder, torch.nn.Module):
        raise TypeError(f"encoder={encoder!r} is no torch.nn.Module; pass one.")
    return encoder


def _check_encoder(model: Any, output: OutputAffinity) -> None:
    if not model._has_rows():
        raise ValueError("encoder needs rows, and only a graph is known; pass rows.")
    if output.normalization == "sinkhorn":
        raise ValueError(
            "encoder is trained on minibatches, and normalization='sinkhorn' needs all pairs; pass "
            "'all' or 'rows'."
        )
    with torch.no_grad():
        network = copy.deepcopy(model.encoder).to(device="cpu", dtype=torch.float32).eval()
        places = network(torch.zeros(2, model.n_features_in_))
    if places.shape != (2, model.n_components):
        raise ValueError(
            f"encoder makes {tuple(places.shape[1:])} numbers of a row, and n_components="
            f"{model.n_components}; make both the same."
        )


def _loss(model: Any, start: Start, output: OutputAffinity, layout: np.ndarray) -> float:
    if len(layout) > MOST_ROWS:
        return float("nan")
    with Crew(model.n_jobs) as crew:
        return float(forces_of(model, start.P, output, crew).loss(layout))


@contextmanager
def _seeded(rng: np.random.Generator, device: torch.device) -> Iterator[None]:
    """Draws of layers, such as dropout, follow our seed, and those of others do not notice."""
    devices = [] if device.type == "cpu" else [device]
    with torch.random.fork_rng(devices):
        torch.manual_seed(int(rng.integers(2**63)))
        yield
