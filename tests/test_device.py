"""Devices and dtypes resolve to torch's, or say why not."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerator import pretended
from sklearn.base import BaseEstimator

import lowdim as ld
from lowdim._device import free_bytes, resolve_device, resolve_dtype, to_host

PAGE = Path(__file__).resolve().parents[1] / "docs" / "devices.md"


def test_auto_is_the_best_device_there_is() -> None:
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert resolve_device() == resolve_device("auto")


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_the_cpu_is_always_there(device: str | torch.device) -> None:
    assert resolve_device(device) == torch.device("cpu")


@pytest.mark.parametrize("device", ["cuda", "cuda:0", torch.device("cuda")])
def test_a_missing_gpu_is_an_error(
    device: str | torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"device='cuda.*no CUDA device; use device='cpu'"):
        resolve_device(device)


def test_a_gpu_out_of_range_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert resolve_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(ValueError, match=r"device='cuda:1'.*finds 1 CUDA device"):
        resolve_device("cuda:1")


@pytest.mark.parametrize("device", ["gpu", "mps", "meta", "", torch.device("meta")])
def test_other_devices_are_errors(device: str | torch.device) -> None:
    with pytest.raises(ValueError, match=r"device='.*' is not supported; use 'auto', 'cpu'"):
        resolve_device(device)


def test_a_device_of_the_wrong_type_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"device must be a string or a torch\.device, got int"):
        resolve_device(0)


@pytest.mark.gpu
def test_the_gpu_computes() -> None:
    assert torch.ones(3, device=resolve_device("cuda")).sum().item() == 3


@pytest.mark.parametrize(
    ("input_dtype", "expected"),
    [
        (np.float32, torch.float32),
        (np.dtype("float32"), torch.float32),
        (torch.float32, torch.float32),
        ("float32", torch.float32),
        (np.float64, torch.float64),
        (torch.float64, torch.float64),
        (np.int32, torch.float64),
        (np.bool_, torch.float64),
        (np.float16, torch.float64),
        (torch.bfloat16, torch.float64),
    ],
)
def test_without_a_dtype_only_float32_stays(input_dtype: object, expected: torch.dtype) -> None:
    assert resolve_dtype(None, input_dtype) is expected


@pytest.mark.parametrize("dtype", ["float32", np.float32, np.dtype(np.float32), torch.float32])
def test_a_dtype_wins_over_the_data(dtype: object) -> None:
    assert resolve_dtype(dtype, np.float64) is torch.float32
    assert resolve_dtype(float, np.float32) is torch.float64


@pytest.mark.parametrize("dtype", ["float16", np.int64, torch.bfloat16])
def test_other_dtypes_are_errors(dtype: object) -> None:
    with pytest.raises(ValueError, match="is not supported; use 'float32', 'float64' or None"):
        resolve_dtype(dtype, np.float64)


@pytest.mark.parametrize("dtype", ["single precision", 32])
def test_what_is_no_dtype_is_an_error(dtype: object) -> None:
    with pytest.raises(TypeError, match="dtype must be None"):
        resolve_dtype(dtype, np.float64)


def test_numbers_come_to_the_host_together_and_as_they_are() -> None:
    values = [torch.arange(3), torch.tensor(0.1), torch.ones(2, 3).double() / 3, torch.zeros(0, 2)]
    with pretended() as log:
        found = to_host(*(value.to("cuda") for value in values))
    assert len(log.reads) == 1
    for array, value in zip(found, values, strict=True):
        assert (array.dtype, array.shape) == (value.numpy().dtype, tuple(value.shape))
        np.testing.assert_array_equal(array, value.numpy())
    own = np.ones(3)
    assert np.shares_memory(to_host(torch.from_numpy(own))[0], own)


def test_what_torch_holds_in_reserve_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with pretended(free_bytes=100):
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 70)
        monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 30)
        assert free_bytes(torch.device("cuda")) == 140


def test_the_page_on_devices_says_which_models_have_one() -> None:
    table = PAGE.read_text(encoding="utf-8").split("## Precision")[0]
    rows = re.findall(r"^\| (`[A-Z].*?) \| (\S+) \|", table, re.M)
    told = {
        name: default.strip("`")
        for names, default in rows
        for name in re.findall(r"`(\w+)`", names)
        if not name.islower()
    }
    found = {}
    for name in ld.__all__:
        public = getattr(ld, name)
        if inspect.isclass(public) and issubclass(public, BaseEstimator):
            device = inspect.signature(public).parameters.get("device")
            quoted = "None" if device is None or device.default is None else f'"{device.default}"'
            found[name] = "-" if device is None else quoted
    assert told == found
