"""Models fitted to what is on disk: the same answers as in memory, and memory by the block."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import current_thread
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pytest
import scipy.sparse as sp

import lowdim as ld
from lowdim.data import as_rows

N, D, K = 300, 80, 3
ROWS_AT_A_TIME = 128


def counts() -> np.ndarray:
    """Negative binomial counts of three groups, (N, D), most of them zero."""
    rng = np.random.default_rng(0)
    means = rng.gamma(0.3, 2.0, (K, D))
    depth = rng.gamma(5.0, 0.2, N)
    rates = means[rng.integers(K, size=N)] * depth[:, None] * rng.gamma(3.0, 1 / 3, (N, D))
    return rng.poisson(rates).astype(float)


def values(*, counted: bool, dtype: type, sparse: bool) -> Any:
    X = counts() if counted else np.log1p(counts())
    return sp.csr_matrix(X, dtype=dtype) if sparse else X.astype(dtype)


def as_path(X: Any, folder: Path) -> Any:
    ad.AnnData(X).write_h5ad(folder / "data.h5ad")
    return folder / "data.h5ad"


def as_backed(X: Any, folder: Path) -> Any:
    return ad.read_h5ad(as_path(X, folder), backed="r")


def as_zarr_path(X: Any, folder: Path) -> Any:
    pytest.importorskip("zarr")
    ad.AnnData(X).write_zarr(folder / "data.zarr")
    return folder / "data.zarr"


def as_zarr_anndata(X: Any, folder: Path) -> Any:
    zarr = pytest.importorskip("zarr")
    element = zarr.open_group(str(as_zarr_path(X, folder)), mode="r")["X"]
    return ad.AnnData(ad.io.sparse_dataset(element) if sp.issparse(X) else element)


def as_lazy(X: Any, folder: Path) -> Any:
    pytest.importorskip("dask")
    pytest.importorskip("xarray")
    pytest.importorskip("lowdim.data.dask_rows")
    return ad.experimental.read_lazy(as_path(X, folder))


CONTAINERS = [as_path, as_backed, as_zarr_path, as_zarr_anndata, as_lazy]


def centroids() -> np.ndarray:
    return np.log1p(counts())[[1, 5, 9]]


MODELS: dict[str, tuple[bool, Callable[[], Any], str]] = {
    "subspaces": (
        False,
        lambda: ld.SubspaceMixture(dims=[2, 1, 0], n_init=2, batch_size=ROWS_AT_A_TIME,
                                   max_iter=8, random_state=0),
        "lower_bound_",
    ),
    "gaussian": (
        False,
        lambda: ld.GaussianMixture(K, covariance_type="diag", batch_size=ROWS_AT_A_TIME,
                                   reg_covar=1e-2, max_iter=8, random_state=0),
        "lower_bound_",
    ),
    "low rank": (
        False,
        lambda: ld.GaussianMixture(K, covariance_type="low_rank", rank=2, n_init=1,
                                   batch_size=ROWS_AT_A_TIME, max_iter=8, random_state=0),
        "lower_bound_",
    ),
    "kmeans": (
        False,
        lambda: ld.KMeans(K, init=centroids(), batch_size=ROWS_AT_A_TIME),
        "inertia_",
    ),
    "soft kmeans": (
        False,
        lambda: ld.SoftKMeans(K, init=centroids(), beta=0.3, batch_size=ROWS_AT_A_TIME),
        "free_energy_",
    ),
    "negative binomial": (
        True,
        lambda: ld.NegativeBinomialMixture(K, n_init=1, max_iter=8, random_state=0),
        "lower_bound_",
    ),
    "dispersions by component": (
        True,
        lambda: ld.NegativeBinomialMixture(K, dispersion="component", size_factors="estimate",
                                           n_init=1, max_iter=10, random_state=0),
        "lower_bound_",
    ),
    "factors": (
        True,
        lambda: ld.PoissonNMF(K, size_factors="mean", n_init=2, max_iter=8, random_state=0),
        "lower_bound_",
    ),
    "factors, negative binomial": (
        True,
        lambda: ld.PoissonNMF(K, likelihood="negative_binomial", size_factors="median_ratio",
                              n_init=2, max_iter=4, random_state=0),
        "lower_bound_",
    ),
    "factor analysis": (
        False,
        lambda: ld.FactorAnalysis(K, max_iter=20),
        "lower_bound_",
    ),
}  # fmt: skip


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks of the few rows here, also where there is no argument for it."""
    for module in ("lowdim.mixture._counts.on_disk", "lowdim.factorization._file_counts"):
        for name in ("DENSE_VALUES", "SPARSE_VALUES"):
            monkeypatch.setattr(f"{module}.{name}", ROWS_AT_A_TIME * D)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:Writing zarr v2 data")
@pytest.mark.filterwarnings("ignore:Transforming to str index")
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", MODELS)
def test_models_on_disk_are_those_in_memory(
    name: str, dtype: type, sparse: bool, tmp_path: Path, small_blocks: None
) -> None:
    counted, make, objective = MODELS[name]
    X = values(counted=counted, dtype=dtype, sparse=sparse)
    expected = make().fit(X)
    tolerance = 1e-8 if dtype is np.float64 else 1e-4
    containers = CONTAINERS if dtype is np.float64 else CONTAINERS[:1]
    for i, container in enumerate(containers):
        folder = tmp_path / str(i)
        folder.mkdir()
        try:
            on_disk = container(X, folder)
        except pytest.skip.Exception:  # of a package that is not there: the others go on
            continue
        assert not as_rows(on_disk).in_memory
        found = make().fit(on_disk)
        own, other = getattr(found, objective), getattr(expected, objective)
        assert own == pytest.approx(other, rel=tolerance), container.__name__
        for method in ("transform", "predict_proba", "score_samples"):
            if hasattr(found, method):
                answer = np.asarray(getattr(found, method)(on_disk))  # lazy of lazy rows
                scale = tolerance * np.abs(answer).max()
                np.testing.assert_allclose(
                    answer, getattr(found, method)(X), rtol=tolerance, atol=scale
                )
        if hasattr(found, "predict"):
            np.testing.assert_array_equal(np.asarray(found.predict(on_disk)), found.predict(X))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ["subspaces", "gaussian", "low rank", "kmeans", "soft kmeans"])
def test_blocks_side_by_side_add_up_in_their_order(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from lowdim.data.standardized import StandardizedRows

    monkeypatch.setattr("lowdim._threads._SMALL", 0)
    monkeypatch.setattr(f"{__name__}.ROWS_AT_A_TIME", 30)
    _, make, objective = MODELS[name]
    path = as_path(values(counted=False, dtype=np.float32, sparse=True), tmp_path)
    at_once, whole = set(), StandardizedRows.at_once.fget
    assert whole is not None

    def noted(rows: StandardizedRows) -> int:
        at_once.add(whole(rows))
        return int(whole(rows))

    monkeypatch.setattr(StandardizedRows, "at_once", property(noted))
    before, found, labels = torch.get_num_threads(), [], []
    try:
        for n_threads in (1, 2, 2, 4, 4):
            at_once.clear()
            torch.set_num_threads(n_threads)
            model = make().fit(path)
            found.append(getattr(model, objective))
            labels.append(model.predict(path).tobytes())
            assert max(at_once) == n_threads
    finally:
        torch.set_num_threads(before)
    assert found[1] == found[2] and found[3] == found[4]  # starts differ by the threads' rounding
    assert found == pytest.approx([found[0]] * 5, rel=1e-6)
    assert len(set(labels)) == 1


@pytest.mark.parametrize("along", [None, np.arange(N)], ids=["alone", "along"])
@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_read_the_blocks_that_they_work_on(
    n_threads: int, along: np.ndarray | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from lowdim.data.backed import BackedSparseRows
    from lowdim.data.standardized import StandardizedRows

    path = as_path(values(counted=False, dtype=np.float32, sparse=True), tmp_path)
    before, read = torch.get_num_threads(), {}

    def noted(rows: BackedSparseRows, start: int, stop: int, *room: Any) -> Any:
        read[start] = current_thread()
        return whole(rows, start, stop, *room)

    def worked(block: Any, own: Any = None) -> tuple[int, Any, Any]:
        return block.start, current_thread(), own

    torch.set_num_threads(n_threads)
    try:
        rows = StandardizedRows(
            as_rows(path), device=torch.device("cpu"), dtype=torch.float32, block_rows=30
        )
        whole = BackedSparseRows._read
        monkeypatch.setattr(BackedSparseRows, "_read", noted)
        found = rows.each(worked, along)
    finally:
        torch.set_num_threads(before)
    assert [start for start, *_ in found] == list(range(0, N, 30))
    assert {start: thread for start, thread, _ in found} == read
    assert current_thread() not in read.values()
    if along is not None:
        np.testing.assert_array_equal(np.concatenate([own for *_, own in found]), along)


def test_fits_beside_each_other_work_on_one_block_each(tmp_path: Path) -> None:
    import torch

    from lowdim.data.standardized import StandardizedRows

    path = as_path(values(counted=False, dtype=np.float32, sparse=True), tmp_path)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        rows = StandardizedRows(
            as_rows(path), device=torch.device("cpu"), dtype=torch.float32, block_rows=30
        )
        assert rows.at_once == 2
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(lambda: rows.at_once).result() == 1
    finally:
        torch.set_num_threads(before)


def test_counts_on_disk_are_checked_like_those_in_memory(tmp_path: Path) -> None:
    X = counts()
    X[7, 3] = 0.5
    path = as_path(X, tmp_path)
    for model in (ld.NegativeBinomialMixture(2), ld.PoissonNMF(2)):
        with pytest.raises(ValueError, match=r"first 0\.5 in row 7"):
            model.fit(path)
    X[7, 3] = np.nan
    path = as_path(X, tmp_path)
    with pytest.raises(ValueError, match="NaN"):  # the mask would be as large as the counts
        ld.PoissonNMF(2).fit(path)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_row_weight_counts_a_row_of_a_file_so_often(tmp_path: Path, small_blocks: None) -> None:
    X = values(counted=True, dtype=np.float64, sparse=True)
    weight = np.random.default_rng(0).integers(0, 3, N).astype(float)
    shares = np.eye(2)[np.arange(N) % 2]
    fits = [
        ld.NegativeBinomialMixture(2, dispersion="component", init=shares, max_iter=5, tol=0).fit(
            rows, sample_weight=weight
        )
        for rows in (X, as_path(X, tmp_path))
    ]
    np.testing.assert_allclose(fits[1].means_, fits[0].means_, rtol=1e-8)
    np.testing.assert_allclose(fits[1].dispersions_, fits[0].dispersions_, rtol=1e-6)


MEASURE = """
import contextlib, ctypes, os, sys, warnings
import lowdim as ld
from lowdim._validation import values
from lowdim.cli import _beside, _data_file, main
from lowdim.data import backed, standardized
from lowdim.embedding._spectral import centred_rows
from lowdim.factorization import _file_counts
from lowdim.get import _embedding_quality, _fit_quality
from lowdim.mixture._counts import on_disk
from lowdim.pp import _deviance

warnings.simplefilter("ignore")
n_columns, GENES = int(sys.argv[1]), 100
standardized.default_block_rows = lambda source, device: 1000
values._SCAN_BYTES = backed._SPAN_BYTES = 4000 * n_columns
for module in (_file_counts, on_disk):
    module.DENSE_VALUES = module.SPARSE_VALUES = 1000 * n_columns
_data_file.free_memory = lambda: 1
_embedding_quality.FROM_FILE = 500
_fit_quality._BLOCK_VALUES = 1000 * GENES
centred_rows.DENSE_VALUES, centred_rows.SPARSE_ROWS = 1000 * n_columns, 1000
_beside._BLOCK_BYTES = _deviance.BLOCK_BYTES = 8000 * n_columns
models = {
    "subspaces": ld.SubspaceMixture(3, 2, n_init=1, max_iter=2, random_state=0),
    "gaussian": ld.GaussianMixture(3, covariance_type="diag", n_init=1, max_iter=2,
                                   reg_covar=1e-2, random_state=0),
    "kmeans": ld.KMeans(3, max_iter=2, random_state=0),
    "soft kmeans": ld.SoftKMeans(3, beta=0.1, annealing=None, max_iter=2, random_state=0),
    "counts": ld.NegativeBinomialMixture(3, dispersion="poisson", n_init=1, max_iter=2,
                                         random_state=0),
    "factors": ld.PoissonNMF(2, n_init=1, max_iter=2, random_state=0),
}
commands = {
    "clusters": ["mixture", "-k", "3", "--family", "kmeans"],
    "components": ["embed", "--method", "pca", "--set", "svd_solver=randomized"],
    "factors of genes": ["spatial", "--model", "pnmf", "-n", "2", "--top-genes", str(GENES)],
    "samples": ["samples", "--sample-key", "sample", "--use-rep", "X_pca", "-k", "2"],
}

def fit(name, file):
    if name in models:
        model = models[name].fit(file)
        model.predict(file) if hasattr(model, "predict") else model.transform(file)
        return
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        for module in (_file_counts, on_disk):
            module.DENSE_VALUES = module.SPARSE_VALUES = 1000 * GENES
        command, *words = commands[name]
        words += ["--no-report", "--quiet", "-o", file + ".fit.h5ad"]
        assert main([command, file, *words]) == 0

def status(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name)) * 1024

def peak(name, file):
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")
    before = status("VmRSS")
    fit(name, file)
    return status("VmHWM") - before

fit("kmeans", sys.argv[2])  # imports and compiles
for name in models:
    print(name, *(peak(name, file) for file in sys.argv[2:]), sep="\\t")
for name in commands:
    fit(name, sys.argv[2])
    print(name, *(peak(name, file) for file in sys.argv[2:]), sep="\\t")
"""


def write_counts(path: Path, n_rows: int, n_columns: int, *, sparse: bool) -> int:
    """A file of counts written in blocks; how large they are in memory."""
    rng = np.random.default_rng(0)
    rates = rng.gamma(0.3, 0.2, (4, n_columns))
    first = rng.poisson(rates[rng.integers(4, size=1000)]).astype(np.float32)
    blocks = n_rows // 1000
    samples = np.array(["a", "b", "c", "d"])[4 * np.arange(n_rows) // n_rows]
    tables = {"obs": {"sample": samples}, "obsm": {"X_pca": rng.normal(size=(n_rows, 3))}}
    if not sparse:
        ad.AnnData(shape=(n_rows, n_columns), **tables).write_h5ad(path)
        with h5py.File(path, "r+") as file:
            X = file.create_dataset("X", (n_rows, n_columns), np.float32)
            for i in range(blocks):
                X[1000 * i : 1000 * (i + 1)] = first
            X.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        return 4 * n_rows * n_columns
    matrix = sp.vstack([sp.csr_matrix(first)] * blocks, format="csr")
    ad.AnnData(matrix, **tables).write_h5ad(path)
    return matrix.data.nbytes + matrix.indices.nbytes


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads Linux's /proc")
@pytest.mark.parametrize(
    ("sparse", "n_rows", "n_columns"), [(False, 40_000, 800), (True, 30_000, 3_000)]
)
def test_memory_follows_the_block_and_not_the_file(
    sparse: bool, n_rows: int, n_columns: int, tmp_path: Path
) -> None:
    """With more rows the peak grows by what is kept of each.

    A copy of the rows, as float64 or with int64 indices, would be more than what is in the file.
    """
    files = [str(tmp_path / f"{name}.h5ad") for name in ("small", "large")]
    sizes = [
        write_counts(Path(file), n, n_columns, sparse=sparse)
        for file, n in zip(files, (12_000, n_rows), strict=True)
    ]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(n_columns), *files],
        env=os.environ | {"MALLOC_ARENA_MAX": "1"},  # else what threads let go stays theirs
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    peaks = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(peaks) == 10
    assert Path(files[1] + ".fit.h5ad").stat().st_size > sizes[1] // 2
    for name, few, many in peaks:
        grown = (int(many) - int(few)) / (sizes[1] - sizes[0])
        assert grown < 0.75, f"{name}: memory grew by {grown:.2f} of what the file did"
