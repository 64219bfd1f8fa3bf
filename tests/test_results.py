"""Traces are frozen and consistent; every reason to stop has words for people."""

import dataclasses
import math

import numpy as np
import pytest

from lowdim._results import FitTrace, StopReason


@pytest.mark.parametrize("reason", StopReason)
def test_every_reason_reads_as_a_sentence(reason: StopReason) -> None:
    assert reason.sentence[0].isupper()
    assert reason.sentence.endswith(".")
    assert StopReason(str(reason)) is reason


def test_a_trace_holds_its_own_float64_copy() -> None:
    values = np.array([-3.0, -2.0], dtype=np.float32)
    trace = FitTrace(values, n_iter=2, converged=True, reason=StopReason.CONVERGED)
    values[1] = 0
    assert trace.objective.dtype == np.float64
    assert trace.final == -2
    with pytest.raises(ValueError, match="read-only"):
        trace.objective[0] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        trace.n_iter = 3


def test_a_reason_may_be_given_by_its_value() -> None:
    trace = FitTrace([], n_iter=0, converged=False, reason="interrupted")
    assert trace.reason is StopReason.INTERRUPTED
    assert math.isnan(trace.final)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": np.zeros((2, 2))}, r"one-dimensional, got shape \(2, 2\)"),
        ({"n_iter": -1}, "n_iter=-1 is negative"),
        ({"converged": False}, "converged=False contradicts reason='converged'"),
        ({"reason": StopReason.FAILED}, "converged=True contradicts reason='failed'"),
        ({"reason": "boredom"}, "boredom"),
    ],
)
def test_a_trace_that_contradicts_itself_is_an_error(
    changes: dict[str, object], message: str
) -> None:
    sound = {"objective": [0.0], "n_iter": 1, "converged": True, "reason": StopReason.CONVERGED}
    with pytest.raises(ValueError, match=message):
        FitTrace(**{**sound, **changes})
