"""Fits that are cut off, killed or interrupted go on to the bits of one that was not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import lowdim as ld
from lowdim import _checkpoint, _journal, _storage

PLANTED = ld.data.subspaces(240, dims=[2, 1], n_columns=6, random_state=0).X
WIDE = ld.data.subspaces(150, dims=[2, 1], n_columns=90, random_state=0).X
SPARSE = sp.csr_matrix(np.where(np.abs(WIDE) > 1, WIDE, 0))
COUNTS = np.random.default_rng(1).poisson(
    np.random.default_rng(0).gamma(1, 2, (3, 30))[np.arange(90) % 3]
)

MODELS: dict[str, tuple[Any, Any]] = {
    **{
        f"gaussian {kind}": (ld.GaussianMixture(3, covariance_type=kind, tol=1e-9), PLANTED)
        for kind in ("full", "tied", "diag", "spherical", "low_rank")
    },
    "gaussian in float32": (ld.GaussianMixture(3, tol=1e-9, dtype="float32"), PLANTED),
    "subspaces": (ld.SubspaceMixture(dims=[2, 1, 0], n_init=3), PLANTED),
    "subspaces hard": (ld.SubspaceMixture(dims=[2, 1, 0], n_init=3, assignment="hard"), PLANTED),
    "subspaces closest": (ld.SubspaceMixture(3, dims=1, n_init=3, assignment="closest"), PLANTED),
    "subspaces annealed": (
        ld.SubspaceMixture(dims=[2, 1], n_init=2, annealing=(0.5, 1.5)), PLANTED,
    ),
    "subspaces in many columns": (ld.SubspaceMixture(dims=[2, 1], n_init=3), WIDE),
    "subspaces of sparse rows": (ld.SubspaceMixture(dims=[2, 1], n_init=3), SPARSE),
    "subspaces by minibatches": (
        ld.SubspaceMixture(dims=[2, 1], n_init=3, minibatch_size=70), PLANTED,
    ),
    "subspaces by workers": (ld.SubspaceMixture(dims=[2, 1], n_init=3, n_jobs=2), PLANTED),
    "search": (ld.SubspaceMixture(2, dims="auto", n_init=2), PLANTED),
    "k-means": (ld.KMeans(6, tol=0), PLANTED),
    "k-means at random": (ld.KMeans(9, tol=0, init="random", n_init=4, empty="random"), PLANTED),
    "k-means of sparse rows": (ld.KMeans(5, tol=0), SPARSE),
    "soft k-means": (ld.SoftKMeans(4, annealing="auto"), PLANTED),
    "counts": (ld.NegativeBinomialMixture(3, tol=1e-7, max_iter=30, n_init=2), COUNTS),
    "counts with sizes": (
        ld.NegativeBinomialMixture(2, size_factors="estimate", max_iter=12, n_init=2), COUNTS,
    ),
    "counts that starve": (
        ld.NegativeBinomialMixture(9, dispersion="poisson", max_iter=15, n_init=2), COUNTS[:30],
    ),
    "factors": (ld.PoissonNMF(2, max_iter=15), COUNTS),
}  # fmt: skip


class CutOffError(Exception):
    """In the midst of a fit."""


@pytest.fixture(autouse=True)
def listening() -> Iterator[None]:
    """Python's own handler of Ctrl-C, which a shell keeps from what it starts in the background."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Checkpoints are written every three iterations, and the disk is not waited for."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(_journal, "EVERY", 3)
    monkeypatch.setattr(_checkpoint, "SHARE", np.inf)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def is_kept(stage: _journal.Stage) -> bool:
    """Whether a stage is of the fit itself, rather than of k-means for its starts."""
    return stage._journal.checkpoint is not None


def after(
    monkeypatch: pytest.MonkeyPatch, steps: int, do: Callable[[], None], *, anywhere: bool = False
) -> None:
    """Do something after so many iterations of a fit that is kept, or of any loop."""
    keep, lock, seen = _journal.Stage.keep, threading.Lock(), [0]

    def kept(self: Any, state: Any) -> None:
        keep(self, state)
        with lock:
            counts = anywhere or is_kept(self)
            seen[0] += counts
            reached = counts and seen[0] == steps
        if reached:
            do()

    monkeypatch.setattr(_journal.Stage, "keep", kept)


def n_steps(model: Any, X: Any, path: Path) -> int:
    """Iterations of all loops of a fit that is kept in a file."""
    seen: list[int] = []
    with pytest.MonkeyPatch.context() as patched:
        keep = _journal.Stage.keep

        def kept(self: Any, state: Any) -> None:
            if is_kept(self):
                seen.append(1)
            keep(self, state)

        patched.setattr(_journal.Stage, "keep", kept)
        clone(model).set_params(checkpoint=path).fit(X)
    return len(seen)


def cut_off() -> None:
    raise CutOffError


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def assert_same(found: Any, expected: Any) -> None:
    """All fitted attributes, to the bit."""
    names = {name for name in vars(expected) if name.endswith("_") and not name.startswith("_")}
    assert {name for name in vars(found) if name.endswith("_")} == names
    for name in names:
        own, other = getattr(found, name), getattr(expected, name)
        if isinstance(other, list):
            for first, second in zip(own, other, strict=True):
                np.testing.assert_array_equal(first, second, err_msg=name)
        else:
            np.testing.assert_array_equal(own, other, err_msg=name)


@pytest.mark.parametrize("name", MODELS)
def test_a_fit_that_was_cut_off_goes_on_to_the_same_bits(name: str, tmp_path: Path) -> None:
    model, X = MODELS[name]
    model = clone(model).set_params(random_state=0)
    whole = clone(model).fit(X)
    total = n_steps(model, X, tmp_path / "whole.h5")
    kept = clone(model).set_params(checkpoint=tmp_path / "fit.h5")
    for steps in sorted({4, total // 2, total}):
        with pytest.MonkeyPatch.context() as patched, pytest.raises(CutOffError):
            after(patched, steps, cut_off)
            clone(kept).fit(X)
        (tmp_path / "fit.h5").replace(tmp_path / f"{steps}.h5")
        assert_same(clone(kept).set_params(checkpoint=tmp_path / f"{steps}.h5").fit(X), whole)
    again = n_steps(model, X, tmp_path / f"{total}.h5")
    assert again == 0  # a fit that is complete is read, and no iteration is done again
    assert_same(clone(model).set_params(checkpoint=tmp_path / f"{total}.h5").fit(X), whole)


@pytest.mark.parametrize(
    "name",
    ["gaussian full", "subspaces", "subspaces in many columns", "k-means", "soft k-means",
     "subspaces by minibatches", "counts", "counts with sizes", "factors"],
)  # fmt: skip
def test_a_fit_that_ran_out_of_iterations_goes_on_with_more(name: str, tmp_path: Path) -> None:
    model, X = MODELS[name]
    model = clone(model).set_params(random_state=0, max_iter=12)
    whole = clone(model).fit(X)
    kept = clone(model).set_params(checkpoint=tmp_path / "fit.h5")
    clone(kept).set_params(max_iter=5).fit(X)
    assert_same(clone(kept).fit(X), whole)
    assert_same(clone(kept).fit(X), whole)


@pytest.mark.parametrize("name", MODELS)
def test_ctrl_c_returns_the_best_so_far_and_says_how_to_go_on(name: str, tmp_path: Path) -> None:
    model, X = MODELS[name]
    model = clone(model).set_params(random_state=0)
    whole = clone(model).fit(X)
    kept = clone(model).set_params(checkpoint=tmp_path / "fit.h5")
    with pytest.MonkeyPatch.context() as patched:
        after(patched, 4, press)
        with pytest.warns(ConvergenceWarning, match=r"was interrupted.*To go on, fit again"):
            early = clone(kept).fit(X)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert getattr(early, "stop_reason_", "interrupted") in ("interrupted", "converged")
    labels = early.predict(X) if hasattr(early, "predict") else early.factors_
    assert len(labels) == X.shape[0]
    for attribute in ("lower_bound_", "free_energy_", "inertia_"):
        if hasattr(early, attribute):
            assert np.isfinite(getattr(early, attribute))
    assert_same(clone(kept).fit(X), whole)


def test_an_objective_of_an_interrupted_fit_is_that_of_its_parameters(tmp_path: Path) -> None:
    model = ld.GaussianMixture(3, tol=1e-9, n_init=1, random_state=0)
    with pytest.MonkeyPatch.context() as patched:
        after(patched, 7, press)
        early = clone(model).set_params(checkpoint=tmp_path / "fit.h5").fit(PLANTED)
    assert (early.n_iter_, early.stop_reason_, early.converged_) == (7, "interrupted", False)
    assert early.lower_bound_ == pytest.approx(early.score(PLANTED), rel=1e-12)
    limited = clone(model).set_params(max_iter=7).fit(PLANTED)
    np.testing.assert_array_equal(early.means_, limited.means_)
    np.testing.assert_array_equal(early.lower_bounds_, limited.lower_bounds_)


def test_a_fit_without_a_checkpoint_tells_of_checkpoints() -> None:
    model = ld.SubspaceMixture(dims=[2, 1], n_init=2, random_state=0)
    with pytest.MonkeyPatch.context() as patched:
        after(patched, 4, press, anywhere=True)
        message = r"interrupted after iteration \d+; .*checkpoint=PATH"
        with pytest.warns(ConvergenceWarning, match=message) as told:
            model.fit(PLANTED)
    assert len(told) == 1
    assert told[0].filename == __file__


def test_ctrl_c_again_and_ctrl_c_too_early_raise_as_usual(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = ld.GaussianMixture(3, tol=1e-9, random_state=0, checkpoint=tmp_path / "fit.h5")

    def twice() -> None:
        press()
        press()

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        after(patched, 4, twice)
        clone(model).fit(PLANTED)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    from lowdim.mixture._gaussian import fit

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(fit, "first_parameters", lambda *_: press())
        clone(model).fit(PLANTED)


def test_ctrl_c_ends_many_fits_at_once() -> None:
    for run in (
        lambda: ld.select_mixture(PLANTED, ld.GaussianMixture(tol=1e-9), n_components=3),
        lambda: ld.consensus_subspaces(
            ld.SubspaceMixture(dims=[2, 1], n_init=2), PLANTED, n_runs=3, random_state=0
        ),
    ):
        with pytest.MonkeyPatch.context() as patched, pytest.raises(KeyboardInterrupt):
            after(patched, 4, press, anywhere=True)
            run()


def test_a_fit_in_another_thread_leaves_ctrl_c_alone() -> None:
    handlers = []

    def work() -> None:
        with pytest.MonkeyPatch.context() as patched:
            look = lambda: handlers.append(signal.getsignal(signal.SIGINT))  # noqa: E731
            after(patched, 2, look, anywhere=True)
            ld.GaussianMixture(2, random_state=0).fit(PLANTED)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]


def test_a_fit_without_a_seed_goes_on_with_the_numbers_it_began_with(tmp_path: Path) -> None:
    for state in (None, np.random.default_rng(3)):
        model = ld.KMeans(9, tol=0, init="random", n_init=3, empty="random", random_state=state)
        model.set_params(checkpoint=tmp_path / "fit.h5")
        with pytest.MonkeyPatch.context() as patched, pytest.raises(CutOffError):
            after(patched, 5, cut_off)
            model.fit(PLANTED)
        (tmp_path / "copy.h5").write_bytes((tmp_path / "fit.h5").read_bytes())
        first = clone(model).fit(PLANTED)
        other = clone(model).set_params(checkpoint=tmp_path / "copy.h5").fit(PLANTED)
        assert_same(other, first)
        (tmp_path / "fit.h5").unlink()


def test_checkpoints_of_other_fits_are_refused_and_say_why(tmp_path: Path) -> None:
    path = tmp_path / "fit.h5"
    model = ld.KMeans(3, random_state=0, checkpoint=path).fit(PLANTED)
    before = path.read_bytes()
    other = PLANTED.copy()
    other[0, 0] += 1e-9
    for refused, X, weight, message in (
        (clone(model).set_params(n_clusters=4), PLANTED, None, "n_clusters was 3 and is 4"),
        (clone(model).set_params(init=PLANTED[:3]), PLANTED, None, "init differs"),
        (model, PLANTED[:-1], None, r"shape of X was \[240, 6\] and is \[239, 6\]"),
        (model, PLANTED.astype(np.float32), None, 'dtype of X was "float64" and is "float32"'),
        (model, other, None, "rows of X differs"),
        (model, PLANTED, np.ones(240), "sample_weight differs"),
        (
            ld.SoftKMeans(3, random_state=0, checkpoint=path), PLANTED, None,
            'estimator was "KMeans" and is "SoftKMeans"',
        ),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"of other data or settings: .*{message}"):
            refused.fit(X, sample_weight=weight)
    assert path.read_bytes() == before
    path.write_text("something else")
    with pytest.raises(ValueError, match="not a lowdim model file"):
        model.fit(PLANTED)
    model.save(path)
    with pytest.raises(ValueError, match="holds a 'KMeans', not a Checkpoint"):
        model.fit(PLANTED)


def test_many_fits_are_not_kept_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "fit.h5"
    for run in (
        lambda: ld.select_mixture(PLANTED, ld.KMeans(checkpoint=path), n_components=3),
        lambda: ld.consensus_subspaces(ld.SubspaceMixture(checkpoint=path), PLANTED),
    ):
        with pytest.raises(ValueError, match="keeps a single fit"):
            run()
    assert not path.exists()


def test_a_place_that_cannot_be_written_is_told_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    model = ld.KMeans(3, random_state=0, checkpoint=tmp_path / "file" / "fit.h5")
    with pytest.raises(OSError, match="file"):
        model.fit(PLANTED)
    assert not hasattr(model, "labels_")


def test_a_write_that_fails_leaves_the_former_checkpoint_and_the_fit_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "fit.h5"
    model = ld.GaussianMixture(3, tol=1e-9, random_state=0)
    whole = clone(model).fit(PLANTED)
    kept, write, seen = clone(model).set_params(checkpoint=path), _storage.write, []

    def full(*args: Any) -> None:
        seen.append(path.read_bytes() if path.exists() else b"")
        if len(seen) > 3:
            raise OSError(28, "No space left on device")
        write(*args)

    with monkeypatch.context() as patched:
        patched.setattr(_storage, "write", full)
        with pytest.warns(RuntimeWarning, match="could not be written.*the fit goes on"):
            assert_same(clone(kept).fit(PLANTED), whole)
    assert len(seen) > 5  # it was tried again
    assert path.read_bytes() == seen[3] == seen[-1]
    assert_same(clone(kept).fit(PLANTED), whole)


SCRIPT = """
    import resource, signal, sys, warnings
    from pathlib import Path
    import numpy as np
    import lowdim as ld
    from lowdim import _checkpoint, _journal

    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell has it ignored
    _journal.EVERY, _checkpoint.SHARE = 1, np.inf
    X, path = np.load(sys.argv[1]), Path(sys.argv[2])
    {before}
    model = ld.GaussianMixture(3, tol=0, max_iter=100_000, accelerate=False, random_state=0)
    model.set_params(checkpoint=path).fit(X)
"""


def started(folder: Path, before: str = "") -> subprocess.Popen[str]:
    """A process that fits for as long as it is let, and its checkpoint."""
    np.save(folder / "X.npy", PLANTED)
    script = textwrap.dedent(SCRIPT).format(before=before)
    arguments = [sys.executable, "-c", script, str(folder / "X.npy"), str(folder / "fit.h5")]
    return subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)


def n_kept(path: Path) -> int:
    """Iterations that are in a checkpoint."""
    if not path.exists():
        return 0
    _, arrays = _storage.read(path, expected=_checkpoint.CLASS)
    return int(arrays.get("0:iteration", 0))


def wait_for(path: Path, process: subprocess.Popen[str], n: int) -> None:
    """Until so many iterations are in the file."""
    end = time.monotonic() + 100
    while n_kept(path) < n:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, "no checkpoint came"
        time.sleep(0.02)


def assert_goes_on(folder: Path) -> None:
    """The fit in a file goes on to the bits of one that was not cut off."""
    path = folder / "fit.h5"
    n = n_kept(path) + 5
    model = ld.GaussianMixture(3, tol=0, max_iter=n, accelerate=False, random_state=0)
    whole = clone(model).fit(PLANTED)
    assert_same(model.set_params(checkpoint=path).fit(PLANTED), whole)
    assert whole.n_iter_ == n


def test_a_process_that_is_killed_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    process = started(tmp_path)
    try:
        wait_for(tmp_path / "fit.h5", process, 8)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert_goes_on(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="limits of file sizes are of POSIX")
def test_a_disk_that_is_full_leaves_the_former_checkpoint(tmp_path: Path) -> None:
    # The trace in the file grows with the iterations, up to what the limit lets be written.
    limit = 24_000
    process = started(tmp_path, f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))")
    path, last, since = tmp_path / "fit.h5", -1, time.monotonic()
    try:
        wait_for(path, process, 1)
        while time.monotonic() < since + 1.0:  # until it no longer changes
            assert process.poll() is None, process.communicate()[1]
            found = n_kept(path)
            last, since = (found, time.monotonic()) if found != last else (last, since)
            time.sleep(0.05)
    finally:
        process.kill()
        process.communicate()
    assert path.stat().st_size <= limit
    assert_goes_on(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="SIGINT is sent as a shell does")
def test_a_process_that_is_interrupted_ends_well_and_goes_on(tmp_path: Path) -> None:
    process = started(tmp_path)
    try:
        wait_for(tmp_path / "fit.h5", process, 8)
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=60)[1]
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, error
    assert "Ctrl-C again ends at once" in error
    assert_goes_on(tmp_path)


def test_writing_takes_a_small_share_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, written = [0.0], []
    monkeypatch.setattr(_checkpoint, "SHARE", 0.1)
    monkeypatch.setattr(_checkpoint.time, "perf_counter", lambda: clock[0])

    def write(*_: Any) -> None:
        clock[0] += 1.0
        written.append(clock[0])

    monkeypatch.setattr(_storage, "write", write)
    kept = _checkpoint.Checkpoint.open(tmp_path / "fit.h5", {}, np.random.default_rng(0))
    for _ in range(1000):
        clock[0] += 0.1
        kept.put((0,), {})
        if kept.due:
            kept.save()
    assert len(written) == 1 + 9  # a hundred seconds of work, ten and one for each write
    assert np.diff(written).min() >= 10
