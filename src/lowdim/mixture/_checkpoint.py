"""Loops of mixtures as arrays, for the files that long fits are kept in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lowdim._checkpoint import Arrays
from lowdim._results import StopReason
from lowdim.mixture._family import P, concatenate

if TYPE_CHECKING:
    from lowdim.mixture._em import Loop

#: What the EM loop knows of every restart.
OF_RESTARTS = ("active", "objective", "n_iter", "reseeds", "starved", "last_gain", "settled")
#: What it knows of all together.
OF_ALL = ("iteration", "phase", "beta", "sound_best")


def state_of(loop: Loop[P]) -> Arrays:
    """Where an EM loop is."""
    state = {name: getattr(loop, name).copy() for name in OF_RESTARTS}
    state |= {name: np.array(getattr(loop, name)) for name in OF_ALL}
    state |= {"reasons": reasons_as_array(loop.reasons), **traces_as_arrays(loop.traces)}
    state |= parameters_as_arrays("now", loop.now)
    if loop.anchors:
        state |= parameters_as_arrays("anchor", loop.anchors[0])
    if loop.phase == 2:
        state |= parameters_as_arrays("fallback", loop.fallback)
    return state | finished_as_arrays(loop.finished)


def restore(loop: Loop[P], state: Arrays) -> None:
    """Bring a loop that has not begun to where another one was."""
    like = loop.now
    for name in OF_RESTARTS:
        setattr(loop, name, state[name].copy())
    for name in OF_ALL:
        setattr(loop, name, state[name].item())
    loop.reasons, loop.traces = reasons_of(state), traces_of(state)
    loop.now = parameters_of("now", state, like)
    loop.anchors = [parameters_of("anchor", state, like)] if loop.phase == 1 else []
    loop.fallback = parameters_of("fallback", state, like) if loop.phase == 2 else loop.now
    loop.finished = finished_of(state, like)


def parameters_as_arrays(name: str, parameters: P) -> Arrays:
    """All tensors of a batch of mixtures."""
    return {f"{name}.{own}": value.cpu().numpy() for own, value in parameters._tensors()}


def parameters_of(name: str, state: Arrays, like: P) -> P:
    """The inverse, for mixtures of the same kind."""
    own: dict[str, Any] = {key: None for key, _ in like._tensors()}
    for key, array in state.items():
        if key.startswith(f"{name}."):
            own[key.removeprefix(f"{name}.")] = tensor_of(array, like.weights)
    return replace(like, **own)


def tensor_of(array: np.ndarray, like: Tensor) -> Tensor:
    """An array as a tensor of its own, where another one is."""
    return torch.from_numpy(np.ascontiguousarray(array)).clone().to(like.device)


def finished_as_arrays(finished: dict[int, P]) -> Arrays:
    """Mixtures that have stopped, by the numbers of their restarts."""
    state = {"finished": np.array(list(finished), dtype=np.int64)}
    if finished:
        state |= parameters_as_arrays("finished", concatenate(list(finished.values())))
    return state


def finished_of(state: Arrays, like: P) -> dict[int, P]:
    """The inverse of `finished_as_arrays`."""
    numbers = state["finished"].tolist()
    if not numbers:
        return {}
    every = parameters_of("finished", state, like)
    index = torch.arange(len(numbers), device=like.weights.device)
    return {number: every.select(index[i : i + 1]) for i, number in enumerate(numbers)}


def reasons_as_array(reasons: list[StopReason]) -> np.ndarray:
    """Why restarts have stopped."""
    return np.array([reason.value for reason in reasons], dtype=object)


def reasons_of(state: Arrays) -> list[StopReason]:
    """The inverse of `reasons_as_array`."""
    return [StopReason(str(value)) for value in state["reasons"]]


def traces_as_arrays(traces: list[list[float]]) -> Arrays:
    """The traces of all restarts in one array, and their lengths."""
    return {
        "traces": np.array([value for trace in traces for value in trace], dtype=np.float64),
        "trace_lengths": np.array([len(trace) for trace in traces], dtype=np.int64),
    }


def traces_of(state: Arrays) -> list[list[float]]:
    """The inverse of `traces_as_arrays`."""
    cuts = np.cumsum(state["trace_lengths"])[:-1]
    return [part.tolist() for part in np.split(state["traces"], cuts)]
