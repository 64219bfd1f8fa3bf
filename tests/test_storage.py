"""Model files: exact, self-describing, never half written, and refused when not understood."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import lowdim
from lowdim import KMeans, _storage

ARRAYS = {
    "doubles": np.random.default_rng(0).normal(size=(3, 4)),
    "singles": np.float32([1 / 3, np.inf, -0.0]),
    "integers": np.array([-(2**62), 7]),
    "flags": np.array([True, False]),
    "empty": np.zeros((0, 5)),
    "odd": np.array([np.nan, 5e-324]),
    "names": np.array(["TP53", "β-actin", ""], dtype=object),
}


def altered(path: Path, **changes: object) -> Path:
    """The file with other values in its header."""
    with h5py.File(path, "r+") as file:
        header = {**json.loads(file.attrs["header"]), **changes}
        file.attrs["header"] = json.dumps(header)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "model.h5"
    _storage.write(file, {"class": "Blob", "params": {"k": 3}}, ARRAYS)
    return file


def test_what_is_written_is_read_bit_for_bit(path: Path) -> None:
    header, arrays = _storage.read(path, expected="Blob")
    assert header["class"] == "Blob"
    assert header["params"] == {"k": 3}
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        assert arrays[name].shape == array.shape
        if array.dtype.kind != "O":
            assert arrays[name].tobytes() == array.tobytes()
    assert arrays["names"].tolist() == ARRAYS["names"].tolist()


def test_the_header_tells_what_wrote_the_file(path: Path) -> None:
    import lowdim

    header = _storage.read_header(path)
    assert header["format"] == "lowdim-model"
    assert header["format_version"] == _storage.FORMAT_VERSION
    assert header["lowdim_version"] == lowdim.__version__


def test_a_failed_save_leaves_the_former_file_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()
    create = h5py.Group.create_dataset

    def fail_late(self: h5py.Group, name: str, *args: object, **kwargs: object) -> object:
        if name == "names":
            raise KeyboardInterrupt
        return create(self, name, *args, **kwargs)

    monkeypatch.setattr(h5py.Group, "create_dataset", fail_late)
    with pytest.raises(KeyboardInterrupt):
        _storage.write(path, {"class": "Other"}, ARRAYS)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["model.h5"]  # nothing left behind


def test_a_save_replaces_the_former_file(path: Path) -> None:
    _storage.write(path, {"class": "Blob"}, {"a": np.arange(3)})
    assert set(_storage.read(path, expected="Blob")[1]) == {"a"}
    assert [entry.name for entry in path.parent.iterdir()] == ["model.h5"]


def test_a_folder_that_does_not_exist_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "model.h5"
    _storage.write(path, {"class": "Blob"}, {"a": np.arange(3)})
    assert _storage.read(path, expected="Blob")[1]["a"].tolist() == [0, 1, 2]


def test_the_file_has_the_usual_permissions(path: Path) -> None:
    usual = path.with_name("usual")
    usual.touch()
    assert path.stat().st_mode == usual.stat().st_mode


def foreign_files() -> dict[str, bytes]:
    return {
        "text": b"not HDF5",
        "empty": b"",
        "pickle": pickle.dumps({"class": "Blob"}),
        "numpy": b"\x93NUMPY\x01\x00",
    }


@pytest.mark.parametrize("kind", foreign_files())
def test_other_files_are_refused(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "foreign.h5"
    file.write_bytes(foreign_files()[kind])
    with pytest.raises(ValueError, match=r"foreign\.h5' is not a lowdim model file"):
        _storage.read_header(file)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "no JSON",
        "{}",
        '{"format": "other"}',
        "[1]",
        '{"format": "lowdim-model"}',
    ],
)
def test_other_hdf5_files_are_refused(tmp_path: Path, header: str | None) -> None:
    file = tmp_path / "foreign.h5"
    with h5py.File(file, "w") as opened:
        opened["X"] = np.zeros(3)
        if header is not None:
            opened.attrs["header"] = header
    with pytest.raises(ValueError, match="not a lowdim model file"):
        _storage.read_header(file)


def test_a_truncated_file_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="not a lowdim model file"):
        _storage.read_header(path)


def test_a_newer_format_is_refused_with_a_remedy(path: Path) -> None:
    altered(path, format_version=_storage.FORMAT_VERSION + 1, lowdim_version="9.1")
    with pytest.raises(ValueError, match=r"format 2, written by lowdim 9\.1.*Upgrade lowdim"):
        _storage.read(path, expected="Blob")


def test_another_class_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds a 'Blob', not a Cloud"):
        _storage.read(path, expected="Cloud")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no model file .*nothing\.h5"):
        _storage.read_header(tmp_path / "nothing.h5")
    with pytest.raises(FileNotFoundError):
        _storage.read_header(tmp_path)  # a folder


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.1), 0.1),
        (np.int32(3), 3),
        (np.bool_(True), True),
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        ((1, "a", None), [1, "a", None]),
        ({"mean": np.zeros(2), 3: (1.5,)}, {"mean": [0, 0], "3": [1.5]}),
        (np.random.default_rng(0), None),
        (np.random.RandomState(0), None),
        (Path("a") / "b", str(Path("a") / "b")),
        (np.float32, "float32"),
        (torch.float32, "float32"),
    ],
    ids=str,
)
def test_plain_values_survive_json(value: object, expected: object) -> None:
    assert json.loads(json.dumps(_storage.plain(value))) == expected


def test_a_model_from_a_machine_with_another_device_is_read(tmp_path: Path) -> None:
    model = KMeans(2, random_state=0, device="cpu").fit(ARRAYS["doubles"])
    model.device = "cuda:99"
    model.save(tmp_path / "model.h5")
    with pytest.warns(UserWarning, match="saved with device='cuda:99', which this machine"):
        read = lowdim.load(tmp_path / "model.h5")
    assert read.device == "auto"
    np.testing.assert_array_equal(read.predict(ARRAYS["doubles"]), model.labels_)
