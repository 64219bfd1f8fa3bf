"""Files, and folders that are one, appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lowdim._typing import PathLike


@contextmanager
def replacing(path: PathLike) -> Iterator[Path]:
    """Write a file or a folder beside its destination, and give it its name when it is complete.

    Parameters
    ----------
    path
        The destination; its folder is made if it does not exist. What is there is replaced by a
        file in one step, by a folder in two: should the process be killed between them, what was
        there is still beside it, under a name that begins with a dot and ends in ".former".

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
        _sync(temporary)
        _rename(temporary, path)
        _sync_folder(path.parent)
    finally:
        remove(temporary)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _rename(new: Path, path: Path) -> None:
    """Give a file or a folder the name of another, which goes."""
    if not (new.is_dir() or path.is_dir()):
        new.replace(path)
        return
    former = new.with_name(f"{new.name}.former")  # no folder takes the name of a full one
    had = path.exists()
    if had:
        path.rename(former)
    try:
        new.rename(path)
    except BaseException:
        if had:
            former.rename(path)
        raise
    remove(former)


def _sync(path: Path) -> None:
    """Bring a file, or all that is in a folder, to the disk."""
    for folder, _, files in os.walk(path):
        for name in files:
            _sync_file(Path(folder, name))
        _sync_folder(Path(folder))
    if not path.is_dir():
        _sync_file(path)


def _sync_file(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Bring the names of a folder to the disk, where a folder can be opened."""
    if os.name != "posix":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
