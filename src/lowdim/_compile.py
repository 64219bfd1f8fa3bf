"""How numba compiles our loops. Import on first use only: numba is slow to load.

What is compiled is kept on disk. numba notices when the file of a function has changed, but not
when another file has that the function calls into; so we say what a compiled function depends on:
every file with compiled functions, and what those files import.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

#: For sums over many rows, which may be rearranged; nan and inf stay what they are.
REARRANGED = {"reassoc", "contract", "arcp", "nsz"}

_OURS = re.compile(r"^ *from lowdim\.(\S+) import", re.MULTILINE)


def fingerprint(package: Path) -> str:
    """A hash of all that compiled functions are made from."""
    sources = {
        ".".join(path.relative_to(package).with_suffix("").parts): path.read_text(encoding="utf-8")
        for path in sorted(package.rglob("*.py"))
    }
    kernels = [name for name, text in sources.items() if "_compile" in _OURS.findall(text)]
    imported = [other for name in kernels for other in _OURS.findall(sources[name])]
    digest = hashlib.sha256(numba.__version__.encode())
    for name in sorted({*kernels, *imported} & sources.keys()):
        digest.update(f"{name}\0{sources[name]}\0".encode())
    return digest.hexdigest()


_STAMP = fingerprint(Path(__file__).parent)


def _compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Compiled when called; cached on disk; runs beside other threads; 1 / 0 is inf."""
    options |= {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    dispatcher = numba.njit(cache=True, **options)(function)
    try:
        dispatcher._cache._cache_file._source_stamp = _STAMP
    except AttributeError:  # a numba that is built otherwise: rather slow than stale
        return numba.njit(**options)(function)
    return dispatcher


def compiled(function: Callable[..., Any]) -> Any:
    """A function compiled as it stands."""
    return _compiled(function)


def compiled_exact(function: Callable[..., Any]) -> Any:
    """A function whose rounding matters: its sums stay as written, whatever calls it.

    Without a setting of its own it would take over that of the compiled function which calls it.
    """
    return _compiled(function, fastmath={"contract"})


def compiled_fast(function: Callable[..., Any]) -> Any:
    """A function whose sums may be rearranged."""
    return _compiled(function, fastmath=REARRANGED)


def inlined(function: Callable[..., Any]) -> Any:
    """A function that becomes part of what calls it, whose settings it takes over.

    For what is called in one place. A compiled function is optimised once by itself, and again
    within each that calls it, so that what is nested deep takes long to compile.
    """
    return _compiled(function, inline="always")


def compiled_finite(function: Callable[..., Any]) -> Any:
    """A function that sees no nan: the least or largest number is found in vectors."""
    return _compiled(function, fastmath={"nnan", "nsz"})
