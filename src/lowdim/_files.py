"""Files appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lowdim._typing import PathLike


@contextmanager
def replacing(path: PathLike) -> Iterator[Path]:
    """Write a file beside its destination, and give it its name when it is complete.

    Parameters
    ----------
    path
        The destination; its folder is made if it does not exist.

    Yields
    ------
    Where to write, with the same ending. If anything is raised, what was written there goes and
    the destination stays as it was. What has got its name is on the disk, whatever happens then.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.{get_ident()}{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Bring the names of a folder to the disk, where a folder can be opened."""
    if os.name != "posix":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
