"""Memory: bounded by the block, whatever the size of the file or the number of columns."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import lowdim
from lowdim import SubspaceMixture

MIB = 2**20


def sparse_rows(n: int, n_columns: int, per_row: int, seed: int = 0) -> sp.csr_matrix:
    """Two kinds of rows, each with values in its own half of the columns and a few others."""
    rng = np.random.default_rng(seed)
    columns = rng.integers(0, n_columns, (n, per_row))
    columns[::2, per_row // 4 :] %= n_columns // 2
    values = rng.gamma(2, 1, (n, per_row)).astype(np.float32)
    rows = np.repeat(np.arange(n), per_row)
    return sp.csr_matrix((values.ravel(), (rows, columns.ravel())), shape=(n, n_columns))


@pytest.mark.filterwarnings("ignore:.*did not converge")
def test_wide_sparse_rows_are_never_made_dense(peak_growth: Callable) -> None:
    """5,000 x 20,000: 800 MB as a dense matrix, 3.2 GB as a covariance.

    Starts look at some dense rows, up to 128 MiB at a time whatever their number.
    """
    X = sparse_rows(5000, 20_000, 50)
    model = SubspaceMixture(dims=[2, 1], n_init=2, max_iter=5, random_state=0)
    model.fit(X[:100])  # what is loaded and cached once is not the data's
    with peak_growth() as growth:
        model.fit(X)
        model.predict(X)
        model.transform(X)
    assert growth[0] < 250
    assert model.objective_trace_[-1] > model.objective_trace_[0]


def write_in_blocks(path: Path, n: int, n_columns: int, per_row: int) -> None:
    """A .h5ad file that is never in memory as a whole."""
    adata = ad.AnnData(
        obs=pd.DataFrame(index=[f"c{i}" for i in range(n)]),
        var=pd.DataFrame(index=[f"g{j}" for j in range(n_columns)]),
    )
    adata.write_h5ad(path)
    size = 5000
    with h5py.File(path, "r+") as file:
        if "X" in file:
            del file["X"]
        group = file.create_group("X")
        group.attrs.update(
            {"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": (n, n_columns)}
        )
        data = group.create_dataset("data", (0,), np.float32, maxshape=(None,), chunks=(2**16,))
        indices = group.create_dataset("indices", (0,), np.int32, maxshape=(None,), chunks=(2**16,))
        indptr = [0]
        for start in range(0, n, size):
            block = sparse_rows(size, n_columns, per_row, seed=start)
            block.sum_duplicates()
            end = indptr[-1] + block.nnz
            for dataset, values in ((data, block.data), (indices, block.indices)):
                dataset.resize((end,))
                dataset[indptr[-1] :] = values
            indptr += (indptr[-1] + block.indptr[1:]).tolist()
        group.create_dataset("indptr", data=np.array(indptr))


FIT = """
import sys, warnings
from pathlib import Path
from lowdim import SubspaceMixture

def read(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

warnings.simplefilter("ignore")
model = SubspaceMixture(dims=[1, 1], n_init=1, max_iter=2, batch_size=2000, init="kmeans")
model.set_params(random_state=0).fit(sys.argv[1])  # what is loaded once is not the data's
Path("/proc/self/clear_refs").write_text("5")
before = read("VmRSS")
model.fit(sys.argv[2])
print(read("VmHWM") - before, *sorted(model.weights_))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_file_is_fitted_within_the_memory_of_its_blocks(tmp_path: Path) -> None:
    """100,000 x 2,000, 5 % nonzero: 80 MiB on disk, 1.6 GB as a dense matrix."""
    small, large = tmp_path / "small.h5ad", tmp_path / "large.h5ad"
    write_in_blocks(small, 5000, 2000, 100)
    write_in_blocks(large, 100_000, 2000, 100)
    done = subprocess.run(
        [sys.executable, "-c", FIT, str(small), str(large)],
        env={**os.environ, "PYTHONPATH": str(Path(lowdim.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    growth, *weights = map(float, done.stdout.split())
    file = large.stat().st_size / MIB
    print(f"\npeak memory beyond that of 5,000 rows: {growth:.1f} MiB; the file: {file:.1f} MiB")
    assert weights == pytest.approx([0.5, 0.5], abs=0.1)
    assert file > 70
    assert growth < file / 2


def test_a_file_gives_the_fit_of_memory(tmp_path: Path) -> None:
    X = sparse_rows(300, 100, 20)
    ad.AnnData(X, obs=pd.DataFrame(index=[f"c{i}" for i in range(300)])).write_h5ad(
        tmp_path / "x.h5ad"
    )
    arguments = {"dims": [1, 1], "n_init": 2, "batch_size": 64, "random_state": 0}
    on_disk = SubspaceMixture(**arguments).fit(tmp_path / "x.h5ad")
    in_memory = SubspaceMixture(**arguments).fit(X)
    np.testing.assert_array_equal(on_disk.means_, in_memory.means_)
    np.testing.assert_array_equal(on_disk.predict(tmp_path / "x.h5ad"), in_memory.predict(X))
    assert on_disk.feature_names_in_.tolist() == [str(j) for j in range(100)]
