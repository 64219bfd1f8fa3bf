"""Where to compute and in which precision: the one place that decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lowdim._typing import DeviceLike, DTypeLike


def resolve_device(device: DeviceLike = "auto") -> torch.device:
    """Turn the `device` argument of an estimator into a torch device that exists.

    Parameters
    ----------
    device
        "auto" (a CUDA device if there is one, else the CPU), "cpu", "cuda", "cuda:1", ...,
        or a `torch.device`.

    Returns
    -------
    The device. "cuda" without a number stays without one: torch's current device.

    Raises
    ------
    TypeError
        `device` is neither a string nor a `torch.device`.
    ValueError
        The name is unknown, or this machine has no such device.
    """
    import torch

    if isinstance(device, str):
        if device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            resolved = torch.device(device)
        except RuntimeError:
            raise ValueError(_unknown_device(device)) from None
    elif isinstance(device, torch.device):
        resolved = device
    else:
        raise TypeError(
            f"device must be a string or a torch.device, got {type(device).__name__}; "
            "use 'auto', 'cpu' or 'cuda'."
        )
    if resolved.type == "cuda":
        _check_cuda(resolved)
    elif resolved.type != "cpu":
        raise ValueError(_unknown_device(str(device)))
    return resolved


def resolve_dtype(dtype: DTypeLike | None, input_dtype: DTypeLike) -> torch.dtype:
    """Turn the `dtype` argument of an estimator into the torch dtype of its large products.

    Parameters
    ----------
    dtype
        "float32", "float64", or the NumPy or torch dtype of either. None follows the data:
        float32 stays float32, everything else becomes float64.
    input_dtype
        The dtype of the data, NumPy's or torch's.

    Returns
    -------
    `torch.float32` or `torch.float64`.

    Raises
    ------
    TypeError
        `dtype` does not name a dtype.
    ValueError
        `dtype` is neither float32 nor float64.
    """
    import torch

    supported = {"float32": torch.float32, "float64": torch.float64}
    if dtype is None:
        return supported.get(_dtype_name(input_dtype), torch.float64)
    try:
        name = _dtype_name(dtype)
    except TypeError:
        raise TypeError(
            f"dtype must be None, 'float32' or 'float64', or a NumPy or torch dtype, got {dtype!r}."
        ) from None
    if name not in supported:
        raise ValueError(f"dtype={name!r} is not supported; use 'float32', 'float64' or None.")
    return supported[name]


def free_bytes(device: torch.device) -> int:
    """Memory of an accelerator that tensors may still take."""
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    # What torch holds in reserve is free for tensors, though the device counts it as used.
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def rounds_products() -> bool:
    """Whether torch was told to round the factors of float32 products on CUDA devices."""
    import torch

    products = torch.backends.cuda.matmul
    if hasattr(products, "fp32_precision"):  # whichever way it was told
        return products.fp32_precision in ("tf32", "bf16")
    return torch.get_float32_matmul_precision() != "highest"


def to_host(*tensors: Tensor) -> list[np.ndarray]:
    """Numbers of tensors on the host, as contiguous arrays, whichever device they are on.

    All come in one transfer, for which the host waits once; those that are on the host already
    are shared.
    """
    import torch

    if all(value.device.type == "cpu" for value in tensors):
        return [np.ascontiguousarray(value.numpy()) for value in tensors]
    # Whole numbers and single precision are exact in double.
    together = torch.cat([value.reshape(-1).double() for value in tensors]).cpu()
    parts = together.split([value.numel() for value in tensors])
    return [
        part.to(value.dtype).view(value.shape).numpy()
        for part, value in zip(parts, tensors, strict=True)
    ]


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """An array as a tensor on a device, shared on the host.

    Sent behind what the device is at without a wait for it: torch's plain `to` would wait.
    """
    import torch

    return torch.from_numpy(array).to(device, non_blocking=True)


def _check_cuda(device: torch.device) -> None:
    import torch

    if not torch.cuda.is_available():
        raise ValueError(
            f"device={str(device)!r}, but torch finds no CUDA device; use device='cpu' or 'auto'."
        )
    count = torch.cuda.device_count()
    if device.index is not None and device.index >= count:
        raise ValueError(
            f"device={str(device)!r}, but torch finds {count} CUDA device(s), "
            "numbered from 0; use one of them or 'auto'."
        )


def _unknown_device(device: str) -> str:
    return f"device={device!r} is not supported; use 'auto', 'cpu', 'cuda' or 'cuda:<number>'."


def _dtype_name(dtype: DTypeLike) -> str:
    import torch

    if isinstance(dtype, torch.dtype):
        return str(dtype).removeprefix("torch.")
    return np.dtype(dtype).name
