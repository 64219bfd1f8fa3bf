"""Processes that are killed, or whose disk is full, leave a checkpoint that is whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lowdim as ld
from lowdim.samples import cross_validate_samples
from lowdim.transport import Mixtures

RNG = np.random.default_rng(0)
ROWS = np.concatenate([RNG.normal(3 * k, 1, (40, 5)) for k in range(3)])
NAMES = np.repeat([f"patient {i}" for i in range(24)], 5)
LABELS = np.repeat(["a", "b"], 6)
MIXTURES = Mixtures.of(
    np.full((12, 2), 0.5), RNG.normal(size=(12, 2, 3)) + (LABELS == "b")[:, None, None],
    np.ones((12, 2, 3)),
)  # fmt: skip


def layout(path: Path | None) -> Any:
    return ld.SNE(perplexity=8, max_iter=40, random_state=0, checkpoint=path).fit(ROWS).embedding_


def metric(path: Path | None) -> Any:
    model = ld.GroundMetric(2, max_iter=20, n_init=2, random_state=0, checkpoint=path)
    return model.fit(MIXTURES, LABELS).components_


def samples(path: Path | None) -> Any:
    model = ld.SampleGaussianMixtures(1, covariance_type="diag", random_state=0, checkpoint=path)
    return model.fit(ROWS, NAMES).covariances_


def folds(path: Path | None) -> Any:
    own = ld.GroundMetric(2, n_init=1, max_iter=2)
    given = {"n_splits": 3, "n_repeats": 4, "random_state": 0, "checkpoint": path}
    return cross_validate_samples(MIXTURES, LABELS, own, **given).table.to_numpy().tolist()


WORK: dict[str, Callable[[Path | None], Any]] = {
    "layout": layout, "metric": metric, "samples": samples, "folds": folds,
}  # fmt: skip

SCRIPT = """
import resource, sys, time, warnings
from pathlib import Path
import numpy as np
from lowdim import _checkpoint, _journal
import test_killed

warnings.simplefilter("ignore")
warnings.filterwarnings("default", message="The checkpoint")
_journal.EVERY, _checkpoint.SHARE, write = 1, np.inf, _checkpoint.Checkpoint._write
limit, pause = int(sys.argv[3]), float(sys.argv[4])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

def slowly(self):
    write(self)
    time.sleep(pause)

_checkpoint.Checkpoint._write = slowly
test_killed.WORK[sys.argv[1]](Path(sys.argv[2]))
"""


def started(name: str, path: Path, *, limit: int = 0, pause: float) -> subprocess.Popen[str]:
    """A process that does such work, and rests whenever it has written its file."""
    arguments = [sys.executable, "-c", SCRIPT, name, str(path), str(limit), str(pause)]
    folders = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = {**os.environ, "PYTHONPATH": folders}
    return subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environment)


def wait_for_versions(path: Path, process: subprocess.Popen[str], n: int) -> None:
    """Until the file has been there in so many versions."""
    seen: set[int] = set()
    end = time.monotonic() + 300
    while len(seen) < n:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, "no checkpoint came"
        if path.exists():
            seen.add(path.stat().st_mtime_ns)
        time.sleep(0.01)


@pytest.mark.parametrize("name", ["layout", "metric", "folds"])
def test_what_was_killed_goes_on_to_the_same_bits(name: str, tmp_path: Path) -> None:
    path = tmp_path / "work.h5"
    process = started(name, path, pause=0.1)
    try:
        wait_for_versions(path, process, 5)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    before = path.read_bytes()
    np.testing.assert_array_equal(WORK[name](path), WORK[name](None))
    assert path.read_bytes() != before  # something was left to do


@pytest.mark.skipif(os.name != "posix", reason="limits of file sizes are of POSIX")
def test_a_disk_that_is_full_leaves_what_was_written_before(tmp_path: Path) -> None:
    path, limit = tmp_path / "work.h5", 200_000  # which some of the samples fill
    process = started("samples", path, limit=limit, pause=0.0)
    error = process.communicate(timeout=300)[1]
    assert process.returncode == 0, error
    assert "could not be written and is as it was" in error
    assert 0 < path.stat().st_size <= limit
    np.testing.assert_array_equal(samples(path), samples(None))
    assert path.stat().st_size > limit
