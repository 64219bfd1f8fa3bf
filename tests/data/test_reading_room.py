"""Memory that blocks of a file are read into: used again, but never while someone holds it."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pytest
import scipy.sparse as sp

from lowdim.data import as_rows
from lowdim.data.reading_room import KEPT, ReadingRoom


@pytest.fixture
def dataset(tmp_path: Path) -> h5py.Dataset:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=np.arange(10_000.0), chunks=(333,))
    with h5py.File(tmp_path / "x.h5") as file:
        yield file["x"]


def test_what_is_let_go_is_used_again(dataset: h5py.Dataset) -> None:
    room = ReadingRoom()
    part = room.read(dataset, 10, 1_010)
    np.testing.assert_array_equal(part, np.arange(10.0, 1_010))
    where = part.ctypes.data
    del part
    part = room.read(dataset, 500, 1_510)  # somewhat longer
    assert part.ctypes.data == where
    np.testing.assert_array_equal(part, np.arange(500.0, 1_510))


@pytest.mark.parametrize("hold", [lambda part: part, lambda part: part[5:], memoryview])
def test_what_is_held_stays_as_it_is(hold: object, dataset: h5py.Dataset) -> None:
    room = ReadingRoom()
    held = [hold(room.read(dataset, 0, 500)) for _ in range(2 * KEPT)]  # type: ignore[operator]
    assert len({np.asarray(part).ctypes.data for part in held}) == len(held)
    for _ in range(3 * KEPT):
        room.read(dataset, 5_000, 5_500)
    first = np.asarray(held[0])
    for part in held:
        np.testing.assert_array_equal(part, first)
    assert first[-1] == 499.0


def test_threads_never_share_an_array(dataset: h5py.Dataset) -> None:
    room = ReadingRoom()

    def read(start: int) -> bool:
        part = room.read(dataset, start, start + 700)
        return bool((part == np.arange(start, start + 700.0)).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, np.random.default_rng(0).integers(9_000, size=400).tolist()))


def test_blocks_of_a_file_keep_their_values(tmp_path: Path) -> None:
    X = sp.random(400, 30, 0.2, "csr", random_state=0, dtype=np.float32)
    ad.AnnData(X).write_h5ad(tmp_path / "x.h5ad")
    source = as_rows(tmp_path / "x.h5ad")
    for _ in range(3):  # from the second time on they are known to be canonical
        blocks = [source.rows(start, start + 40) for start in range(0, 400, 40)]
        np.testing.assert_array_equal(sp.vstack(blocks).toarray(), X.toarray())
    assert source.rows(3, 3).shape == (0, 30)


def test_what_is_kept_is_not_sent_to_workers(dataset: h5py.Dataset) -> None:
    room = ReadingRoom()
    room.read(dataset, 0, 9_000)
    assert len(pickle.dumps(room)) < 1_000
