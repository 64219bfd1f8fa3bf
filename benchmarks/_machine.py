"""One thread, CPU time, and what a result was measured on."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

import lowdim

T = TypeVar("T")


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Hold every library to one thread, and fail if one does not obey."""
    with contextlib.suppress(ImportError):
        import kspaces  # noqa: F401  (loads the libraries that the limit must reach)
    import sklearn.mixture  # noqa: F401
    import torch
    from threadpoolctl import threadpool_info, threadpool_limits

    torch.set_num_threads(1)
    with threadpool_limits(1):
        many = [pool for pool in threadpool_info() if pool["num_threads"] != 1]
        if many or torch.get_num_threads() != 1:
            raise RuntimeError(f"Not on one thread: torch {torch.get_num_threads()}, {many}.")
        yield


def cpu_time(function: Callable[[], T]) -> tuple[float, T]:
    """CPU seconds of a call (all threads of this process) and what it returned."""
    start = time.process_time()
    value = function()
    return time.process_time() - start, value


def available_bytes() -> int:
    """Memory that is free or can be freed now."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def peak_bytes() -> int:
    """Largest resident memory of this process so far.

    Linux lets a child inherit its parent's figure in getrusage, so the kernel's own is preferred.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def resident_bytes() -> int:
    """Resident memory of this process now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def description() -> str:
    """Date, processor and versions, one Markdown paragraph."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    versions = []
    for name in ("kspaces", "ggml-ot", "torch", "numpy", "scipy", "scikit-learn"):
        with contextlib.suppress(PackageNotFoundError):
            versions.append(f"{name} {version(name)}")
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    return (
        f"{date}. {model}, {os.cpu_count()} cores, {platform.system()}; "
        f"Python {platform.python_version()}, lowdim {lowdim.__version__}, {', '.join(versions)}."
    )
