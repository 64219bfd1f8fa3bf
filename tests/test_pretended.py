"""The pretended device refuses and counts what tests of code for a real one rely on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from accelerator import pretended

DEVICE = torch.device("cuda")


def test_what_is_computed_is_what_the_host_computes() -> None:
    a = np.random.default_rng(0).normal(size=(4, 3))
    with pretended() as log:
        x = torch.from_numpy(a).to(DEVICE)
        assert x.device.type == "cuda"
        view = x[1:]
        view += 1  # views share the numbers
        got = torch.linalg.qr(x.T @ x).R.cpu().numpy()
    a[1:] += 1
    np.testing.assert_array_equal(got, torch.linalg.qr(torch.from_numpy(a.T @ a)).R.numpy())
    assert [name for name, _ in log.reads] == ["cpu"]
    assert log.uploads == [("to", 12)]


def test_devices_do_not_mix() -> None:
    with pretended():
        x = torch.ones(3, device=DEVICE)
        with pytest.raises(RuntimeError, match=r"same device, but add got cuda:0 and cpu"):
            x + torch.ones(3)
        with pytest.raises(RuntimeError, match="same device"):
            torch.ones(3, 3) @ x
        with pytest.raises(TypeError, match="can't convert cuda"):
            x.numpy()
        with pytest.raises(TypeError, match="__array__"):
            np.asarray(x)
        # A single number may come from anywhere.
        assert (x + torch.tensor(2.0)).tolist() == [3.0] * 3


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: float(x[0]),
        lambda x: bool(x.any()),
        lambda x: x.sum().item(),
        lambda x: x.tolist(),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: torch.where(x > 0),
        lambda x: torch.linalg.eigvalsh(x[:, None] * x),
        lambda x: torch.repeat_interleave(x, x.long()),
        lambda x: torch.segment_reduce(x, "sum", lengths=x.long()),
    ],
)
def test_what_waits_is_counted(wait) -> None:
    with pretended() as log:
        x = torch.ones(3, device=DEVICE)
        (x * 2).sum()
        assert not log.reads
        wait(x)
        assert log.reads


def test_streams_that_do_not_wait_are_found() -> None:
    with pretended() as log:
        side, own = torch.cuda.Stream(DEVICE), torch.ones(3).pin_memory()

        def send() -> torch.Tensor:
            with torch.cuda.stream(side):
                return own.to(DEVICE, non_blocking=True)

        with pytest.raises(AssertionError, match="before it has arrived"):
            send() + 1
        now, late = torch.cuda.current_stream(DEVICE), send()
        now.wait_event(side.record_event())
        with pytest.raises(AssertionError, match="given away"):
            late + 1
        late.record_stream(now)
        assert (late + 1).sum().item() == 6
        assert log.asynchronous == 2
