"""Pieces of HDF5 files read past the library: what they hold, and when they are left to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowdim.data.plain_pieces import PlainPieces, read_straight

N, PIECE = 5_000, 37


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two datasets whose pieces alternate in the file, some after a gap, the last one not full."""
    path = tmp_path_factory.mktemp("plain") / "x.h5"
    with h5py.File(path, "w") as file:
        for name, dtype in (("values", np.float32), ("columns", np.int64)):
            file.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(PIECE,))
        for start in range(0, N, 500):
            for name in ("values", "columns"):
                file[name].resize((start + 500,))
                file[name][start : start + 500] = np.arange(start, start + 500)
            file.create_dataset(f"between {start}", data=np.zeros(start))
    return path


@pytest.mark.parametrize("name", ["values", "columns"])
def test_any_part_is_what_the_library_reads(name: str, path: Path) -> None:
    with h5py.File(path) as file:
        straight = read_straight(file[name])
        assert isinstance(straight, PlainPieces) and straight.dtype == file[name].dtype
        assert len(straight._first) > 5  # runs of pieces
        expected = file[name][:]

        @given(st.integers(0, N - 1), st.integers(1, 700))
        def check(first: int, length: int) -> None:
            last = min(first + length, N)
            out = np.full(last - first, -1, straight.dtype)
            straight.read_direct(out, np.s_[first:last])
            np.testing.assert_array_equal(out, expected[first:last])

        check()
        np.testing.assert_array_equal(straight[5:9], expected[5:9])


def test_the_system_may_give_less_than_was_asked_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    whole = os.preadv
    monkeypatch.setattr(
        os, "preadv", lambda handle, parts, place: whole(handle, [parts[0][:50]], place)
    )
    with h5py.File(path) as file:
        out = np.empty(1_000, np.float32)
        read_straight(file["values"]).read_direct(out, np.s_[10:1_010])
    np.testing.assert_array_equal(out, np.arange(10, 1_010))


@pytest.mark.parametrize(
    "settings",
    [
        {"compression": "gzip"},
        {"shuffle": True},
        {"fletcher32": True},
        {"chunks": None, "maxshape": None},
        {"dtype": ">f4"},
        {"dtype": "<i4", "scaleoffset": 0},
        {"dtype": bool},
        {"dtype": "S3"},
        {"shape": (10, 10), "chunks": (5, 5), "maxshape": None},
    ],
)
def test_what_is_stored_otherwise_is_left_to_the_library(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    plain = {"shape": (100,), "dtype": "<f4", "chunks": (10,), "maxshape": (None,)}
    with h5py.File(tmp_path / "x.h5", "w") as file:
        made = file.create_dataset("x", **{**plain, **settings})
        made[:] = np.zeros(made.shape, made.dtype)
    with h5py.File(tmp_path / "x.h5") as file:
        assert not isinstance(read_straight(file["x"]), PlainPieces)


def test_files_that_are_written_to_are_left_to_the_library(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        assert not isinstance(read_straight(file["values"]), PlainPieces)
    with h5py.File(path, driver="core") as file:
        assert not isinstance(read_straight(file["values"]), PlainPieces)


def test_what_comes_before_the_hdf5_part_of_a_file_is_left_to_the_library(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w", userblock_size=512) as file:
        file.create_dataset("x", data=np.arange(100.0), chunks=(10,))
    with h5py.File(tmp_path / "x.h5") as file:
        assert not isinstance(read_straight(file["x"]), PlainPieces)


def test_pieces_that_were_never_written_are_left_to_the_library(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", (100,), np.float32, chunks=(10,), fillvalue=7)[:50] = 1
        file.create_dataset("none", (0,), np.float32, chunks=(10,), maxshape=(None,))
    with h5py.File(tmp_path / "x.h5") as file:
        for name in ("x", "none"):
            assert not isinstance(read_straight(file[name]), PlainPieces)


def test_what_is_no_dataset_of_hdf5_stays_as_it_is() -> None:
    other = np.arange(5)
    assert read_straight(other) is other


def test_a_closed_file_and_one_that_was_cut_off_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.arange(10_000.0), chunks=(100,))
    out = np.empty(10_000)
    with h5py.File(path) as file:
        straight = read_straight(file["x"])
        with path.open("r+b") as raw:
            raw.truncate(50_000)
        with pytest.raises(OSError, match="cut off"):
            straight.read_direct(out, np.s_[0:10_000])
    with pytest.raises(ValueError, match=r"[Nn]ot a"):
        straight.read_direct(out, np.s_[0:10])
