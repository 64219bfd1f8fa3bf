"""Saved models come back the same, or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator

import lowdim
from lowdim import GaussianMixture, KMeans, SoftKMeans, SubspaceMixture
from lowdim.io import load

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(size=(60, 5)), RNG.normal(size=(60, 5)) * [4, 1, 1, 1, 1] + 6])
AXES = {"mean": np.zeros(5), "basis": np.eye(5)[:2]}


def same(one: object, two: object) -> bool:
    """Equal to the last bit, nan included."""
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, np.ndarray) and one.dtype.kind == "f":
        return one.dtype == two.dtype and one.tobytes() == np.ascontiguousarray(two).tobytes()
    return bool(np.all(one == two)) and np.shape(one) == np.shape(two)


@pytest.mark.parametrize(
    "model",
    [
        KMeans(2, random_state=0),
        KMeans(2, init=X[:2]),
        SoftKMeans(2, annealing="auto", random_state=0),
        *(
            GaussianMixture(2, covariance_type=kind, random_state=0)
            for kind in ("full", "tied", "diag", "spherical")
        ),
        GaussianMixture(2, means_init=X[[0, 100]], init_params=np.arange(120) // 60),
    ],
    ids=str,
)
def test_other_models_come_back_bit_for_bit(model: BaseEstimator, tmp_path: Path) -> None:
    model.fit(pd.DataFrame(X, columns=list("abcde")))
    model.save(tmp_path / "model.h5")
    again = lowdim.load(tmp_path / "model.h5")
    assert type(again) is type(model)
    fitted = {name for name in vars(model) if name.endswith("_") and not name.startswith("_")}
    assert {name for name in vars(again) if name.endswith("_")} == fitted
    for name in fitted:
        assert same(getattr(model, name), getattr(again, name)), name
    assert same(model.predict(X), again.predict(X))
    if hasattr(model, "partial_fit"):
        rows = pd.DataFrame(X[:50], columns=list("abcde"))
        one, two = model.partial_fit(rows), again.partial_fit(rows)
        assert same(one.predict(X), two.predict(X))
    with pytest.raises(ValueError, match="not a SubspaceMixture"):
        SubspaceMixture.load(tmp_path / "model.h5")


@pytest.mark.parametrize(
    "arguments",
    [
        {"dims": [1, 0]},
        {"dims": [5, 2, 0], "n_init": 2},
        {"dims": 0},
        {"n_components": 2, "dims": 1, "assignment": "closest"},
        {"dims": [1, 1], "assignment": "hard", "shared_noise": True},
        {"dims": 1, "fixed": AXES, "background": "uniform"},
        {"dims": 1, "background": [{"mean": np.ones(5), "noise_variance": 2.0}]},
        {"dims": [1, 1], "init": np.arange(120) % 2},
        {"dims": [1, 1], "annealing": (0.2, 1.3), "dtype": "float32", "batch_size": 50},
        {"dims": np.array([2, 1])},
    ],
    ids=str,
)
def test_a_model_comes_back_bit_for_bit(arguments: dict, tmp_path: Path) -> None:
    model = SubspaceMixture(**{"n_init": 3, "random_state": 0, **arguments}).fit(X)
    model.save(tmp_path / "model.h5")
    again = lowdim.load(tmp_path / "model.h5")
    assert type(again) is SubspaceMixture
    fitted = {name for name in vars(model) if name.endswith("_") and not name.startswith("_")}
    assert {name for name in vars(again) if name.endswith("_")} == fitted
    for name in fitted:
        assert same(getattr(model, name), getattr(again, name)), name
    for name in ("predict", "predict_proba", "score_samples", "transform", "reconstruct"):
        assert same(getattr(model, name)(X), getattr(again, name)(X)), name
    for name in ("bic", "aic", "icl", "score"):
        assert getattr(model, name)(X) == getattr(again, name)(X)
    assert model.n_parameters() == again.n_parameters()
    if "background" not in arguments:
        assert same(model.sample(9, random_state=1), again.sample(9, random_state=1))


def test_the_parameters_come_back_and_fit_the_same(tmp_path: Path) -> None:
    model = SubspaceMixture(dims=[2, 1], n_init=2, tol=1e-7, fixed=AXES, random_state=3).fit(X)
    model.save(tmp_path / "model.h5")
    again = load(str(tmp_path / "model.h5"))
    params = again.get_params()
    assert params["dims"] == [2, 1]
    assert params["tol"] == 1e-7
    assert params["random_state"] == 3
    np.testing.assert_array_equal(params["fixed"]["basis"], AXES["basis"])
    assert same(again.fit(X).means_, model.means_)


@pytest.mark.parametrize("init", ["labels", "responsibilities"])
def test_a_start_that_was_given_can_be_used_again(init: str, tmp_path: Path) -> None:
    labels = np.arange(120) % 2
    start = labels if init == "labels" else np.eye(2)[labels]
    model = SubspaceMixture(dims=[1, 1], init=start).fit(X)
    model.save(tmp_path / "model.h5")
    assert same(load(tmp_path / "model.h5").fit(X).means_, model.means_)


def test_names_and_sparse_rows_are_no_obstacle(tmp_path: Path) -> None:
    frame = pd.DataFrame(X, columns=["a", "b", "γ", "d", "e"])
    model = SubspaceMixture(dims=[1, 1], n_init=2, random_state=0).fit(frame)
    model.save(tmp_path / "model.h5")
    again = load(tmp_path / "model.h5")
    assert again.feature_names_in_.tolist() == list(frame.columns)
    with pytest.raises(ValueError, match="feature names should match"):
        again.predict(frame[["b", "a", "γ", "d", "e"]])
    assert same(again.predict_proba(sp.csr_matrix(X)), model.predict_proba(sp.csr_matrix(X)))


def test_a_generator_is_not_pretended_to_be_saved(tmp_path: Path) -> None:
    model = SubspaceMixture(dims=1, random_state=np.random.default_rng(0)).fit(X)
    model.save(tmp_path / "model.h5")
    assert load(tmp_path / "model.h5").random_state is None


def test_an_unfitted_model_is_not_saved(tmp_path: Path) -> None:
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        SubspaceMixture().save(tmp_path / "model.h5")
    assert not list(tmp_path.iterdir())


def test_the_selected_model_can_be_saved(tmp_path: Path) -> None:
    model = SubspaceMixture(n_components=2, dims="auto", n_init=2, random_state=0).fit(X)
    model.save(tmp_path / "model.h5")
    again = load(tmp_path / "model.h5")
    assert same(again.predict_proba(X), model.predict_proba(X))
    assert again.dims == "auto"
    assert same(again.search_trace_, model.search_trace_)
    assert again.search_ == model.search_


def altered(path: Path, **changes: object) -> Path:
    with h5py.File(path, "r+") as file:
        header = {**json.loads(file.attrs["header"]), **changes}
        file.attrs["header"] = json.dumps(header)
    return path


def test_what_is_not_understood_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    SubspaceMixture(random_state=0).fit(X).save(path)
    whole = path.read_bytes()
    altered(path, **{"class": "Telescope"})
    for read in (load, SubspaceMixture.load):
        with pytest.raises(ValueError, match="holds a 'Telescope'"):
            read(path)
    path.write_bytes(whole)
    altered(path, format_version=99, lowdim_version="7.0")
    for read in (load, SubspaceMixture.load):
        with pytest.raises(ValueError, match=r"format 99, written by lowdim 7\.0.*Upgrade"):
            read(path)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="not a lowdim model file"):
        load(path)
    with pytest.raises(FileNotFoundError, match="no model file"):
        load(tmp_path / "nowhere.h5")


def test_an_interrupted_save_leaves_the_former_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.h5"
    model = SubspaceMixture(dims=1, random_state=0).fit(X)
    model.save(path)
    means = model.means_.copy()
    create, calls = h5py.Group.create_dataset, []

    def fail_late(self: h5py.Group, name: str, *args: object, **kwargs: object) -> object:
        calls.append(name)
        if len(calls) == 4:
            raise OSError("disk full")
        return create(self, name, *args, **kwargs)

    monkeypatch.setattr(h5py.Group, "create_dataset", fail_late)
    with pytest.raises(OSError, match="disk full"):
        model.fit(X[60:]).save(path)
    assert same(load(path).means_, means)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.h5"]


def test_another_process_reads_it(tmp_path: Path) -> None:
    """Nothing but the file is needed, and no pickle is in it."""
    model = SubspaceMixture(dims=[1, 0], n_init=2, random_state=0).fit(X)
    model.save(tmp_path / "model.h5")
    assert b"cnumpy" not in (tmp_path / "model.h5").read_bytes()
    np.save(tmp_path / "X.npy", X)
    code = (
        "import numpy, lowdim; X = numpy.load('X.npy'); "
        "print(lowdim.load('model.h5').score(X).hex())"
    )
    source = Path(lowdim.__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert float.fromhex(done.stdout.strip()) == pytest.approx(model.score(X), rel=1e-12)
