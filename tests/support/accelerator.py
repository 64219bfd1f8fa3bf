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
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._pytree import tree_flatten, tree_map

CUDA = torch.device("cuda", 0)
#: Functions whose result, or the shape of it, the host must wait for.
READS = frozenset(
    "item tolist cpu __bool__ __int__ __float__ __index__ __complex__ __contains__ is_nonzero equal "
    "allclose nonzero argwhere masked_select unique unique_consecutive bincount "
    "linalg_eigh linalg_eigvalsh linalg_cholesky cholesky linalg_solve linalg_inv inverse linalg_eig "
    "linalg_svd svd linalg_lstsq".split()
)


@dataclass
class Log:
    """What was seen.

    Attributes
    ----------
    reads, uploads : list of (name, numbers)
        What the host waited for, and what it sent, with how many numbers.
    asynchronous : int
        How many uploads left from pinned memory without waiting.
    calls : int
        Of functions on the device.
    """

    reads: list[tuple[str, int]] = field(default_factory=list)
    uploads: list[tuple[str, int]] = field(default_factory=list)
    asynchronous: int = 0
    calls: int = 0
    stream: Stream = field(default_factory=lambda: Stream())

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
        stack.enter_context(mode)
        yield log


def _called(log: Log, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]):
    name = _name(func)
    parts = tree_flatten((args, kwargs))[0]
    remote = [part for part in parts if isinstance(part, Remote)]
    if name in _ATTRIBUTES and remote:
        return _ATTRIBUTES[name](args[0])
    if name in ("to", "cuda", "cpu"):
        return _moved(log, func, name, args, kwargs)
    if name == "numpy" and remote:
        if not kwargs.get("force"):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu()")
        log.reads.append((name, args[0].own.numel()))
        return func(args[0].own)
    if name in ("__array__", "data_ptr", "untyped_storage") and remote:
        raise TypeError(f"{name} of a tensor on {CUDA}")
    made_here = _is_cuda(kwargs.get("device"))
    pinned = bool(kwargs.get("pin_memory")) or name == "pin_memory"
    if made_here:
        kwargs = {**kwargs, "device": torch.device("cpu")}
        if name in ("tensor", "as_tensor", "asarray") and not remote:
            log.uploads.append((name, int(np.size(args[0]))))
    if pinned:
        kwargs = {key: value for key, value in kwargs.items() if key != "pin_memory"}
    if not remote and not made_here:
        result = args[0].clone() if name == "pin_memory" else func(*args, **kwargs)
        if pinned:
            result.pinned = True
        return result
    _check(log, name, args, kwargs, parts)
    for own in remote:
        own.check_stream()
    log.calls += 1
    if name in ("segment_reduce",) and not kwargs.get("unsafe"):
        log.reads.append((name, 1))
    if name == "repeat_interleave" and kwargs.get("output_size") is None and len(remote) > 0:
        if any(isinstance(part, Remote) for part in args[1:]) or len(args) == 1:
            log.reads.append((name, 1))
    if name in READS or (name == "where" and len(args) + len(kwargs) == 1):
        log.reads.append((name, max((x.own.numel() for x in remote), default=1)))
    plain = tree_map(lambda x: x.own if isinstance(x, Remote) else x, (args, kwargs))
    result = func(*plain[0], **plain[1])
    if name in ("tolist", "item", "cpu"):
        return result
    if isinstance(result, torch.Size):
        return result
    known = {id(x.own): x for x in remote}

    def wrapped(value: Any) -> Any:
        if isinstance(value, Tensor) and not isinstance(value, Remote):
            return known[id(value)] if id(value) in known else Remote(value, log)
        return value

    return tree_map(wrapped, result)


def _check(log: Log, name: str, args: Any, kwargs: Any, parts: list[Any]) -> None:
    """Refuse what a real device refuses; note what it allows at a price."""
    hosted = [x for x in parts if isinstance(x, Tensor) and not isinstance(x, Remote) and x.ndim]
    index = ()
    if name in ("__getitem__", "__setitem__"):
        index = args[1] if isinstance(args[1], tuple) else (args[1],)
        tensors = [x for x in index if isinstance(x, Tensor)]
        masks = [x for x in tensors if x.dtype == torch.bool]
        if masks and not (name == "__setitem__" and not isinstance(args[2], Tensor)):
            log.reads.append((f"{name} by a mask", masks[0].numel()))
        if isinstance(args[0], Remote):  # indices may come from the host
            for x in hosted:
                if any(x is own for own in index):
                    log.uploads.append((f"{name} of the host's index", x.numel()))
            hosted = [x for x in hosted if not any(x is own for own in index)]
        if name == "__setitem__" and not tensors and hosted:
            log.uploads.append((name, hosted[0].numel()))
            return
        lists = [x for x in index if isinstance(x, (list, np.ndarray))]
        if lists:
            log.uploads.append((f"{name} of the host's list", int(np.size(lists[0]))))
    if name == "copy_":
        into, source = args[0], args[1]
        if isinstance(source, Remote) and not isinstance(into, Remote):
            log.reads.append((name, source.own.numel()))
        elif isinstance(into, Remote) and not isinstance(source, Remote):
            _note_upload(log, name, source, bool(kwargs.get("non_blocking")))
        return
    if hosted:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but {name} got {CUDA} and cpu"
        )


def _moved(log: Log, func: Callable[..., Any], name: str, args: Any, kwargs: Any) -> Any:
    """`to`, `cuda` and `cpu`, of tensors and of modules."""
    own, rest = args[0], list(args[1:])
    targets = [x for x in (*rest, *kwargs.values()) if isinstance(x, (str, torch.device, Tensor))]
    target: Any = None
    if name == "cpu":
        target = torch.device("cpu")
    elif name == "cuda":
        target, rest = CUDA, []
    for x in targets:
        target = x.device if isinstance(x, Tensor) else torch.device(x)
    dtype = [x.dtype if isinstance(x, Tensor) else x for x in (*rest, *kwargs.values())]
    dtype = next((x for x in dtype if isinstance(x, torch.dtype)), None)
    away = isinstance(own, Remote)
    value = own.own if away else own
    to_device = away if target is None else _is_cuda(target)
    converted = value if dtype is None else value.to(dtype)
    if kwargs.get("copy") and converted is value:
        converted = value.clone()
    if away and not to_device:
        log.reads.append((name, value.numel()))
        return converted.clone() if converted is value else converted
    if not away and to_device:
        _note_upload(log, name, own, bool(kwargs.get("non_blocking")))
        return Remote(converted.clone() if converted is value else converted, log)
    log.calls += away and converted is not value
    if not away:
        return converted
    return own if converted is value else Remote(converted, log)


def _note_upload(log: Log, name: str, source: Tensor, non_blocking: bool) -> None:
    log.uploads.append((name, source.numel()))
    log.stream.sent += 1
    log.asynchronous += non_blocking and getattr(source, "pinned", False)


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
