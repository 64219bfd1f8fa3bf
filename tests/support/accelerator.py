"""A CUDA device that is not there: tensors on it live on the host and behave as if far away.

`pretended()` makes torch say that there is one GPU. A tensor made on it, or brought to it, reports
its device, refuses `numpy()`, and may not meet tensors of the host; what it computes is computed on
the host. Everything that crosses between host and device is noted, and so is what makes the host
wait for the device, which on a real one stops both.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._pytree import tree_flatten, tree_map

CUDA = torch.device("cuda", 0)
#: Functions that wait for the device: what they return, its shape or an error, is on it.
READS = frozenset(
    """
    item tolist cpu __bool__ __int__ __float__ __index__ __complex__ __contains__ is_nonzero equal
    allclose nonzero argwhere masked_select unique unique_consecutive bincount cholesky inverse svd
    linalg_eigh linalg_eigvalsh linalg_eig linalg_cholesky linalg_solve linalg_inv linalg_svd
    linalg_lstsq
    """.split()  # noqa: SIM905
)


#: So many numbers are staged by the driver at once, wherever they are in the host's memory.
STAGED = 8192


@dataclass
class Log:
    """What was seen.

    Attributes
    ----------
    reads, uploads : list of (name, numbers)
        What the host waited for, and what it sent, with how many numbers.
    asynchronous : int
        How many uploads were sent without waiting: from pinned memory, or few numbers.
    calls : int
        Of functions on the device.
    """

    reads: list[tuple[str, int]] = field(default_factory=list)
    uploads: list[tuple[str, int]] = field(default_factory=list)
    asynchronous: int = 0
    calls: int = 0
    stream: Stream = field(default_factory=lambda: Stream())

    @property
    def waits(self) -> int:
        """How often the host waited."""
        return len(self.reads) + len(self.uploads) - self.asynchronous

    def clear(self) -> None:
        """Forget everything."""
        self.reads.clear()
        self.uploads.clear()
        self.asynchronous = self.calls = 0


class Remote(Tensor):
    """A tensor of the device, which holds its numbers in a tensor of the host."""

    own: Tensor
    seen: Log

    @staticmethod
    def __new__(cls, own: Tensor, seen: Log) -> Remote:
        return Tensor._make_wrapper_subclass(cls, own.shape, dtype=own.dtype, device=CUDA)

    def __init__(self, own: Tensor, seen: Log) -> None:
        self.own, self.seen = own, seen
        self.made_on, self.number = seen.stream, seen.stream.sent
        self.kept = {seen.stream}

    def kept_by(self, stream: Stream) -> None:
        """As `record_stream`: its memory is not reused before that stream is done with it."""
        self.kept.add(stream)

    def check_stream(self) -> None:
        """Refuse use on a stream that has not waited for the one that it was made on."""
        now = self.seen.stream
        if now is not self.made_on:
            assert now.seen.get(self.made_on, -1) >= self.number, "used before it has arrived"
            assert now in self.kept, "its memory may be given away while it is used"

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        log = next(x.seen for x in tree_flatten((args, kwargs))[0] if isinstance(x, Remote))
        return _called(log, func, args, kwargs or {})

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise AssertionError(f"{func} got past the pretended device.")


class Pretended(TorchFunctionMode):
    """Sees every call of torch while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Log()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return _called(self.log, func, args, kwargs or {})


class Stream:
    """Knows how much was sent on it, and of other streams what it has waited for."""

    def __init__(self, device: Any = None) -> None:
        self.sent = 0
        self.seen: dict[Stream, int] = {}

    def record_event(self) -> tuple[Stream, int]:
        """What was sent so far."""
        return self, self.sent

    def wait_event(self, event: tuple[Stream, int]) -> None:
        """Go on only after an event."""
        self.seen[event[0]] = max(event[1], self.seen.get(event[0], 0))


@contextlib.contextmanager
def pretended(free_bytes: int = 2**34) -> Iterator[Log]:
    """One CUDA device with so much free memory; what happens between it and the host."""
    torch._C._ensureCUDADeviceGuardSet()
    mode = Pretended()
    log = mode.log

    @contextlib.contextmanager
    def on(stream: Stream) -> Iterator[None]:
        before, log.stream = log.stream, stream
        yield
        log.stream = before

    given: dict[str, Any] = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "mem_get_info": lambda device=None: (free_bytes, free_bytes),
        "memory_reserved": lambda device=None: 0,
        "memory_allocated": lambda device=None: 0,
        "synchronize": lambda device=None: None,
        "Stream": Stream,
        "current_stream": lambda device=None: log.stream,
        "stream": on,
    }
    run = threading.Thread.run

    def in_thread(thread: threading.Thread) -> None:
        own = Pretended()
        own.log = log
        with own:
            run(thread)

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(threading.Thread, "run", in_thread))
        for name, value in given.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, value))
        stack.enter_context(mock.patch.object(Tensor, "record_stream", Remote.kept_by))
        made = partial(_called, log, torch.sparse_csr_tensor)  # which no mode hears of
        patch = mock.patch.object(torch, "sparse_csr_tensor", lambda *a, **given: made(a, given))
        stack.enter_context(patch)
        stack.enter_context(mode)
        yield log


def _called(log: Log, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]):
    """What a function returns, wherever its tensors are."""
    name = _name(func)
    parts = tree_flatten((args, kwargs))[0]
    remote = [part for part in parts if isinstance(part, Remote)]
    if name in _ATTRIBUTES and remote:
        return _ATTRIBUTES[name](args[0])
    if name in ("to", "cuda", "cpu"):
        return _moved(log, name, args, kwargs)
    if name in ("numpy", "__array__", "data_ptr", "untyped_storage") and remote:
        return _as_host(log, func, name, args[0], kwargs)
    if not remote and not _is_cuda(kwargs.get("device")):
        return _on_host(func, name, args, kwargs)
    if _is_cuda(kwargs.get("device")):
        kwargs = {**kwargs, "device": torch.device("cpu")}
        if name in ("tensor", "as_tensor", "asarray") and not remote:
            log.uploads.append((name, int(np.size(args[0]))))
    _check(log, name, args, kwargs, parts)
    for own in remote:
        own.check_stream()
    log.calls += 1
    if _waits(name, args, kwargs):
        log.reads.append((name, max((x.own.numel() for x in remote), default=1)))
    plain = tree_map(lambda x: x.own if isinstance(x, Remote) else x, (args, kwargs))
    result = func(*plain[0], **plain[1])
    if name in ("tolist", "item") or isinstance(result, torch.Size):
        return result
    known = {id(x.own): x for x in remote}

    def wrapped(value: Any) -> Any:
        if isinstance(value, Tensor) and not isinstance(value, Remote):
            return known[id(value)] if id(value) in known else Remote(value, log)
        return value

    return tree_map(wrapped, result)


def _as_host(log: Log, func: Callable[..., Any], name: str, own: Remote, kwargs: Any) -> Any:
    """What asks for the numbers themselves, which is refused unless it is forced."""
    if name != "numpy" or not kwargs.get("force"):
        raise TypeError(f"{name}: can't convert {CUDA} device type tensor. Use Tensor.cpu()")
    log.reads.append((name, own.own.numel()))
    return func(own.own)


def _on_host(func: Callable[..., Any], name: str, args: Any, kwargs: Any) -> Any:
    """Tensors of the host alone, some of them in memory that is pinned."""
    if name != "pin_memory" and not kwargs.get("pin_memory"):
        return func(*args, **kwargs)
    kwargs = {key: value for key, value in kwargs.items() if key != "pin_memory"}
    result = args[0].clone() if name == "pin_memory" else func(*args, **kwargs)
    result.pinned = True
    return result


def _waits(name: str, args: Any, kwargs: Any) -> bool:
    """Whether a function makes the host wait."""
    if name == "where":
        return len(args) + len(kwargs) == 1
    if name == "segment_reduce":
        return not kwargs.get("unsafe")
    if name == "repeat_interleave":
        counted = len(args) == 1 or isinstance(args[1], Remote)
        return counted and kwargs.get("output_size") is None
    return name in READS


def _check(log: Log, name: str, args: Any, kwargs: Any, parts: list[Any]) -> None:
    """Refuse what a real device refuses; note what it allows at a price."""
    hosted = [x for x in parts if isinstance(x, Tensor) and not isinstance(x, Remote) and x.ndim]
    if name == "copy_":
        into, source = args[0], args[1]
        if isinstance(source, Remote) and not isinstance(into, Remote):
            log.reads.append((name, source.own.numel()))
        elif isinstance(into, Remote) and not isinstance(source, Remote):
            _note_upload(log, name, source, bool(kwargs.get("non_blocking")))
        return
    if name in ("__getitem__", "__setitem__"):
        hosted = _index(log, name, args, hosted)
    if hosted:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but {name} got {CUDA} and cpu"
        )


def _index(log: Log, name: str, args: Any, hosted: list[Tensor]) -> list[Tensor]:
    """What is not allowed of the host's tensors in reading or writing by an index."""
    index = args[1] if isinstance(args[1], tuple) else (args[1],)
    tensors = [x for x in index if isinstance(x, Tensor)]
    mask = next((x for x in tensors if x.dtype == torch.bool), None)
    filled = name == "__setitem__" and not isinstance(args[2], Tensor)
    if mask is not None and not filled:  # how many are marked, the device has to say
        log.reads.append((f"{name} by a mask", mask.numel()))
    if isinstance(args[0], Remote):  # indices are sent, and so is what goes to a slice
        sent = [
            x for x in index if isinstance(x, (list, np.ndarray)) or any(x is y for y in hosted)
        ]
        if name == "__setitem__" and not tensors:
            sent += hosted
        log.uploads += [
            (name, x.numel() if isinstance(x, Tensor) else int(np.size(x))) for x in sent
        ]
        hosted = [x for x in hosted if not any(x is y for y in sent)]
    return hosted


def _moved(log: Log, name: str, args: Any, kwargs: Any) -> Any:
    """`to`, `cuda` and `cpu` of a tensor."""
    own, rest = args[0], [*args[1:], *kwargs.values()]
    target: Any = {"cpu": torch.device("cpu"), "cuda": CUDA}.get(name)
    dtype = None
    for x in rest:
        if isinstance(x, (str, torch.device, Tensor)):
            target = x.device if isinstance(x, Tensor) else x
        if isinstance(x, (torch.dtype, Tensor)):
            dtype = x.dtype if isinstance(x, Tensor) else x
    away = isinstance(own, Remote)
    if away:
        own.check_stream()
    value = own.own if away else own
    to_device = away if target is None else _is_cuda(target)
    converted = value if dtype is None else value.to(dtype)
    if (kwargs.get("copy") or away != to_device) and converted is value:
        converted = value.clone()
    if away and not to_device:
        log.reads.append((name, value.numel()))
    if to_device and not away:
        _note_upload(log, name, own, bool(kwargs.get("non_blocking")))
    if converted is value:
        return own
    return Remote(converted, log) if to_device else converted


def _note_upload(log: Log, name: str, source: Tensor, non_blocking: bool) -> None:
    log.uploads.append((name, source.numel()))
    log.stream.sent += 1
    if non_blocking and (getattr(source, "pinned", False) or source.numel() <= STAGED):
        log.asynchronous += 1


def _is_cuda(device: Any) -> bool:
    return device is not None and torch.device(device).type == "cuda"


def _name(func: Callable[..., Any]) -> str:
    name = getattr(func, "__name__", "")
    if name == "__get__":  # an attribute: its descriptor has the name
        return func.__self__.__name__
    return name or (resolve_name(func) or "").rsplit(".", 1)[-1]


_ATTRIBUTES: dict[str, Callable[[Remote], Any]] = {
    "device": lambda own: CUDA,
    "is_cuda": lambda own: True,
    "is_cpu": lambda own: False,
}
