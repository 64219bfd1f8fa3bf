"""How much memory there is to use."""

from __future__ import annotations

import os
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_LIMIT, _USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")


def free_memory() -> int | None:
    """Bytes that can be taken without swapping; None where the system does not tell.

    On Linux what the kernel calls available, or what a container may still take if that is less;
    elsewhere all memory.
    """
    if _MEMINFO.exists():
        lines = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
        if "MemAvailable" in lines:
            available = int(lines["MemAvailable"].split()[0]) * 1024
            left = _left_in_container()
            return available if left is None else min(available, left)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _left_in_container() -> int | None:
    """What control groups leave; None without a limit."""
    try:
        return int(_LIMIT.read_text()) - int(_USED.read_text())
    except (OSError, ValueError):  # no such files, or "max"
        return None
