"""The compiled E-steps: the same statistics as the general one, in every case."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from lowdim._threads import threads_for
from lowdim.data.blocks import NEGLIGIBLE, DenseBlock, SparseBlock
from lowdim.mixture._family import block_expectation
from lowdim.mixture._subspace import fused, shares
from lowdim.mixture._subspace.family import SubspaceFamily
from lowdim.mixture._subspace.fused import fused_expectation
from lowdim.mixture._subspace.initialize import Starter
from lowdim.mixture._subspace.parameters import SubspaceParameters
from lowdim.mixture._subspace.sketched import CROWDED

#: Around the sizes of a chunk; loops up to 16 columns, products above.
ROWS = [1, 255, 256, 700]
COLUMNS = [1, 2, 5, 16, 17, 40]


def hand_made(
    n_columns: int,
    dims: list[list[int]],
    *,
    far: float = 2.0,
    uniform: bool = False,
    sketched: int = 0,
) -> SubspaceParameters:
    """Arbitrary parameters of as many restarts as there are lists of dimensions.

    With a sketch of so many rows more than the largest dimension, unless it is 0.
    """
    rng = np.random.default_rng(0)
    table = torch.tensor(dims)
    r, k, q = *table.shape, max(1, int(table.max()))
    width = min(q + sketched, n_columns)
    rows = np.linalg.qr(rng.normal(size=(r, k, n_columns, width)))[0].swapaxes(-1, -2).copy()
    bases = rows[:, :, :q].copy()
    noise = torch.from_numpy(rng.uniform(0.2, 1.0, (r, k)))
    log_volume = None
    if uniform:
        noise[:, -1] = torch.inf
        table[:, -1] = 0
        log_volume = torch.full((r, k), n_columns * 1.5).double()
    return SubspaceParameters(
        weights=torch.from_numpy(rng.dirichlet(np.ones(k), r)),
        means=torch.from_numpy(far * rng.normal(size=(r, k, n_columns))),
        bases=torch.from_numpy(bases),
        latent=torch.from_numpy(np.sort(rng.uniform(1, 5, (r, k, q)))[..., ::-1].copy()),
        noise=noise,
        dims=table,
        log_volume=log_volume,
        sketch=torch.from_numpy(rows) if sketched else None,
    )


def rows_block(n: int, n_columns: int, dtype: torch.dtype, *, weighted: bool = False) -> DenseBlock:
    rng = np.random.default_rng(1)
    values = torch.from_numpy(2 * rng.normal(size=(n, n_columns))).to(dtype)
    weights = torch.from_numpy(rng.integers(0, 3, n).astype(float)) if weighted else None
    return DenseBlock(values, 0, weights)


def family(block: DenseBlock, q: int) -> SubspaceFamily:
    n_columns = block.values.shape[1]
    starter = Starter(block, np.random.default_rng(0), n_columns, q)
    return SubspaceFamily(starter, block.n_rows, float(block.n_rows), 1e-6)


class Single(list[DenseBlock]):
    """All rows in one block, as `fused_step` takes them."""

    total_weight = 600.0

    def __init__(self, block: DenseBlock) -> None:
        super().__init__([block])


def check_same(
    block: DenseBlock,
    parameters: SubspaceParameters,
    assignment: str,
    beta: float = 1.0,
    rtol: float = 1e-10,
) -> None:
    general = family(block, parameters.latent.shape[-1])
    expected, objective = block_expectation(general, block, parameters, assignment, beta)
    statistics, own = fused_expectation(block, parameters, assignment, beta)
    assert statistics.keys() == expected.keys()
    np.testing.assert_allclose(own, objective, rtol=rtol, atol=1e-9)
    for name, value in expected.items():
        scale = max(1.0, float(value.abs().max()))
        np.testing.assert_allclose(statistics[name], value, rtol=rtol, atol=rtol * scale)


@pytest.mark.parametrize("assignment", ["soft", "hard", "closest"])
@pytest.mark.parametrize("n_columns", COLUMNS)
@pytest.mark.parametrize("n", ROWS)
def test_it_agrees_with_the_general_expectation(n: int, n_columns: int, assignment: str) -> None:
    dims = [[0, 1, min(3, n_columns)], [1, 1, 0]]
    if n_columns == 1 and assignment == "closest":  # lines in one column tie but for rounding
        dims = [[0, 0, 0], [0, 0, 0]]
    for far in (0.5, 20.0):  # components that share rows, and that do not
        check_same(rows_block(n, n_columns, torch.float64), hand_made(n_columns, dims, far=far),
                   assignment)  # fmt: skip


@pytest.mark.parametrize("reassign", [True, False])
@pytest.mark.parametrize(("assignment", "beta"), [("soft", 1.0), ("soft", 0.3), ("hard", 1.0)])
@pytest.mark.parametrize("n_columns", [1, 2, 5, 12])
def test_a_step_in_one_call_is_the_step_in_two(
    n_columns: int, assignment: str, beta: float, reassign: bool
) -> None:
    q = n_columns if n_columns == 12 else min(3, n_columns)  # as many as rotations are best for
    parameters = hand_made(n_columns, [[0, 1, q], [1, q, 0], [1, 1, 1]])
    parameters.means[1, 2] = 50.0  # without rows
    block = rows_block(700, n_columns, torch.float64, weighted=True)
    own = replace(family(block, q), reassign=reassign)
    objective, updated, starved = own.fused_step(Single(block), parameters, assignment, beta)
    statistics, expected = fused_expectation(block, parameters, assignment, beta)
    np.testing.assert_allclose(objective, expected.numpy() / 600, rtol=1e-12)
    np.testing.assert_array_equal(starved, own.starved(statistics, parameters))
    assert starved[1, 2]
    other = own.maximize(statistics, parameters)
    for name in ("weights", "means", "latent", "noise", "dims"):
        value = getattr(other, name)
        np.testing.assert_allclose(getattr(updated, name), value, rtol=1e-12, atol=1e-12)
    # Axes of nearly equal variance are known by what they span only.
    spanned = [p.bases.mT @ (p.latent[..., None] * p.bases) for p in (updated, other)]
    np.testing.assert_allclose(*spanned, rtol=1e-12, atol=1e-12 * float(other.latent.max()))


def test_a_step_is_not_made_in_one_call_where_it_would_be_another() -> None:
    parameters = hand_made(3, [[0, 1, 2]])
    block = rows_block(300, 3, torch.float64)
    own = family(block, 2)
    assert own.fused_step(Single(block), parameters, "soft", 1.0) is not None
    assert own.fused_step(Single(block), parameters, "closest", 1.0) is None
    assert (
        replace(own, shared_noise=True).fused_step(Single(block), parameters, "soft", 1.0) is None
    )
    assert replace(own, n_rows=400).fused_step(Single(block), parameters, "soft", 1.0) is None


@pytest.mark.parametrize("assignment", ["soft", "hard", "closest"])
@pytest.mark.parametrize("n_columns", [66, 500])
@pytest.mark.parametrize("n", [1, 131, 300])
def test_it_agrees_in_many_columns(n: int, n_columns: int, assignment: str) -> None:
    for far, wide in ((0.1, 1), (20.0, 5)):  # components that share rows, and that do not
        parameters = hand_made(n_columns, [[0, 1, 3], [1, 1, 0]], far=far, sketched=wide)
        check_same(rows_block(n, n_columns, torch.float64), parameters, assignment, rtol=1e-9)


def test_rows_that_all_components_share_are_summed_together() -> None:
    """The sketches of all components in one product, where most shares matter."""
    block = rows_block(300, 70, torch.float64, weighted=True)
    p = hand_made(70, [[0, 1, 3], [2, 1, 0]], far=0.05, sketched=4)
    p = replace(p, noise=torch.full_like(p.noise, 9.0), latent=9.0 + p.latent)
    scores = family(block, 3).log_joint(block, p)
    owned = scores.softmax(1) > NEGLIGIBLE
    assert (owned.double().mean((1, 2)) > CROWDED).all()
    check_same(block, p, "soft", rtol=1e-9)


@pytest.mark.parametrize(("n_columns", "wide"), [(30, 0), (70, 4), (300, 2)])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_sums_are_those_of_their_definitions(n_columns: int, wide: int, threads: int) -> None:
    """Every sum over the rows, one row at a time in NumPy."""
    block = rows_block(2_100, n_columns, torch.float64, weighted=True)
    p = hand_made(n_columns, [[0, 1, 3], [2, 1, 0]], far=0.05, sketched=wide)
    p = replace(p, noise=torch.full_like(p.noise, 4.0), latent=4.0 + p.latent)  # that of the rows
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        found, objective = fused_expectation(block, p, "soft", 1.0)
    finally:
        torch.set_num_threads(before)
    x, weights = block.values.numpy(), block.weights.numpy()
    scores = np.empty((2, 3, len(x)))
    for r, k in np.ndindex(2, 3):
        d = int(p.dims[r, k])
        axes, latent, noise = p.bases[r, k, :d], p.latent[r, k, :d], float(p.noise[r, k])
        covariance = noise * np.eye(n_columns)
        covariance += (axes.T * (latent - noise)).numpy() @ axes.numpy()
        normal = multivariate_normal(p.means[r, k].numpy(), covariance)
        scores[r, k] = normal.logpdf(x) + np.log(float(p.weights[r, k]))
    total = logsumexp(scores, 1)
    shares = np.exp(scores - total[:, None]) * weights
    assert ((shares > 0.01) & (shares < 0.99)).any()  # some rows are shared
    along = x @ (np.eye(n_columns) if p.sketch is None else p.sketch.numpy()).swapaxes(-1, -2)
    along = np.broadcast_to(along, (2, 3, *along.shape[-2:]))
    expected = {
        "counts": shares.sum(-1),
        "squares": np.square(shares).sum(-1),
        "sums": shares @ x,
        "energy": shares @ np.square(x).sum(1),
        "second": np.einsum("rkn,rknw,nd->rkwd", shares, along, x),
    }
    np.testing.assert_allclose(objective, total @ weights, rtol=1e-10)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-8, atol=1e-8 * np.abs(value).max())


@pytest.mark.parametrize("beta", [0.05, 0.5])
def test_annealed_responsibilities_in_many_columns(beta: float) -> None:
    parameters = hand_made(80, [[1, 2, 0]], far=0.3, sketched=3)
    check_same(rows_block(300, 80, torch.float64), parameters, "soft", beta, rtol=1e-9)


@pytest.mark.parametrize("assignment", ["soft", "hard"])
@pytest.mark.parametrize("n_columns", [3, 20, 100])
def test_weights_uniform_components_and_single_precision(n_columns: int, assignment: str) -> None:
    wide = 3 if n_columns > 64 else 0
    parameters = hand_made(n_columns, [[2, 0, 0]], uniform=True, sketched=wide)
    check_same(rows_block(500, n_columns, torch.float64, weighted=True), parameters, assignment)
    single = rows_block(500, n_columns, torch.float32, weighted=True)
    double = DenseBlock(single.values.double(), 0, single.weights)
    expected, objective = fused_expectation(double, parameters, assignment, 1.0)
    statistics, own = fused_expectation(single, parameters, assignment, 1.0)
    np.testing.assert_allclose(own, objective, rtol=1e-6)
    np.testing.assert_allclose(statistics["second"], expected["second"], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("beta", [0.05, 0.5])
def test_annealed_responsibilities(beta: float) -> None:
    check_same(rows_block(300, 4, torch.float64), hand_made(4, [[1, 2, 0]]), "soft", beta)


def test_ties_share_the_row() -> None:
    twins = hand_made(3, [[1, 1]])
    same = twins._map(lambda value: value[:, :1].expand_as(value).clone())
    for assignment in ("soft", "hard", "closest"):
        statistics, _ = fused_expectation(rows_block(100, 3, torch.float64), same, assignment, 1.0)
        np.testing.assert_allclose(statistics["counts"], [[50.0, 50.0]])


@pytest.mark.parametrize("n_columns", [4, 90])
def test_a_broken_restart_leaves_the_others_alone(n_columns: int) -> None:
    block = rows_block(300, n_columns, torch.float64)
    wide = 4 if n_columns > 64 else 0
    parameters = hand_made(n_columns, [[1, 2, 0], [0, 1, 1]], sketched=wide)
    sound, objective = fused_expectation(block, parameters, "soft", 1.0)
    parameters.means[0, 1] = torch.nan
    for kept in ("_arrays", "score_terms", "layouts"):
        parameters.__dict__.pop(kept, None)
    statistics, broken = fused_expectation(block, parameters, "soft", 1.0)
    assert torch.isnan(broken[0])
    assert broken[1] == objective[1]
    for name, value in statistics.items():
        assert torch.equal(value[1], sound[name][1])


@pytest.mark.parametrize(("n", "n_columns", "wide"), [(60_000, 3, 0), (5_000, 300, 4)])
def test_threads_change_rounding_at_most(n: int, n_columns: int, wide: int) -> None:
    block = rows_block(n, n_columns, torch.float64, weighted=True)
    parameters = hand_made(n_columns, [[1, 2, 0]], sketched=wide)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        two = fused_expectation(block, parameters, "soft", 1.0)
        again = fused_expectation(block, parameters, "soft", 1.0)
    finally:
        torch.set_num_threads(before)
    with threads_for(1):
        one = fused_expectation(block, parameters, "soft", 1.0)
    for name in two[0]:
        assert torch.equal(two[0][name], again[0][name])
        np.testing.assert_allclose(two[0][name], one[0][name], rtol=1e-9, atol=1e-6)


def test_the_exponential_is_that_of_the_library() -> None:
    x = np.concatenate([np.linspace(shares.LOG_NEGLIGIBLE, 0.0, 5001), [-1e-300, -1e-17]])
    own = np.array([shares.exponential(value) for value in x])
    np.testing.assert_allclose(own, np.exp(x), rtol=1e-14)


def stored_block(
    n: int, n_columns: int, dtype: type = np.float64, *, weighted: bool = False
) -> SparseBlock:
    """Rows of which a fifth is stored; the last has nothing."""
    rng = np.random.default_rng(2)
    values = rng.normal(2.0, 1.0, (n, n_columns)) * (rng.random((n, n_columns)) < 0.2)
    values[-1] = 0.0
    weights = torch.from_numpy(rng.integers(0, 3, n).astype(float)) if weighted else None
    mean = rng.normal(size=n_columns)
    return SparseBlock(sp.csr_matrix(values, dtype=dtype), mean, 0.7, 0, weights)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("assignment", "beta"), [("soft", 1.0), ("soft", 0.2), ("hard", 1.0), ("closest", 1.0)]
)
@pytest.mark.parametrize(("n", "n_columns"), [(1, 66), (300, 66), (1_300, 203)])
def test_stored_rows_have_the_statistics_of_dense_ones(
    n: int, n_columns: int, assignment: str, beta: float, weighted: bool
) -> None:
    """What is stored, centred within the sums, against the same rows made dense and centred."""
    stored = stored_block(n, n_columns, weighted=weighted)
    dense = DenseBlock(stored.dense(np.arange(n)), 0, stored.weights)
    for far, wide in ((0.1, 1), (20.0, 5)):  # components that share rows, and that do not
        parameters = hand_made(n_columns, [[0, 1, 3], [1, 1, 0]], far=far, sketched=wide)
        before = torch.get_num_threads()
        for threads in (1, 2):
            try:
                torch.set_num_threads(threads)
                found, objective = fused_expectation(stored, parameters, assignment, beta)
            finally:
                torch.set_num_threads(before)
            q = parameters.latent.shape[-1]
            expected, value = block_expectation(
                family(dense, q), dense, parameters, assignment, beta
            )
            assert found.keys() == expected.keys()
            np.testing.assert_allclose(objective, value, rtol=1e-9)
            for name, own in expected.items():
                scale = max(1.0, float(own.abs().max()))
                np.testing.assert_allclose(found[name], own, rtol=1e-9, atol=1e-9 * scale)


@pytest.mark.parametrize("far", [0.05, 20.0])
def test_threads_change_no_bit_of_the_statistics_of_stored_rows(far: float) -> None:
    stored = stored_block(20_000, 100, np.float32, weighted=True)
    parameters = hand_made(100, [[1, 2, 0]], far=far, sketched=4)
    found, before = [], torch.get_num_threads()
    for threads in (1, 2, 3):
        try:
            torch.set_num_threads(threads)
            found.append(fused_expectation(stored, parameters, "soft", 1.0))
        finally:
            torch.set_num_threads(before)
    for statistics, objective in found[1:]:
        assert torch.equal(objective, found[0][1])
        for name, value in statistics.items():
            assert torch.equal(value, found[0][0][name])


def test_rows_of_many_owners_are_summed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = stored_block(1_300, 80)
    parameters = hand_made(80, [[0, 1, 3], [1, 1, 0]], far=0.05, sketched=2)
    whole, objective = fused_expectation(stored, parameters, "soft", 1.0)
    monkeypatch.setattr(fused, "PART_ROWS", 100)
    monkeypatch.setattr(fused, "PIECE_ROWS", 64)
    cut, value = fused_expectation(stored, parameters, "soft", 1.0)
    np.testing.assert_allclose(value, objective, rtol=1e-12)
    for name, expected in whole.items():
        scale = float(expected.abs().max())
        np.testing.assert_allclose(cut[name], expected, rtol=1e-12, atol=1e-12 * scale)


def test_stored_rows_in_single_precision_and_uniform_components() -> None:
    double = stored_block(3_000, 120, weighted=True)
    single = stored_block(3_000, 120, np.float32, weighted=True)
    for uniform in (False, True):
        parameters = hand_made(120, [[2, 0, 0]], uniform=uniform, sketched=3)
        expected, objective = fused_expectation(double, parameters, "soft", 1.0)
        statistics, own = fused_expectation(single, parameters, "soft", 1.0)
        np.testing.assert_allclose(own, objective, rtol=1e-6)
        for name in ("sums", "second"):
            scale = float(expected[name].abs().max())
            np.testing.assert_allclose(statistics[name], expected[name], atol=1e-5 * scale)
