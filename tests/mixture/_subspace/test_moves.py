"""Split, merge, change of dimension: neighbours that are mixtures themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lowdim.mixture._subspace.moves import SPLITS, change_dim, closest_pairs, merge, split
from lowdim.mixture._subspace.parameters import SubspaceParameters


def mixture(dims: list[int], n_columns: int = 6, *, sketch: bool = False) -> SubspaceParameters:
    rng = np.random.default_rng(0)
    k, q = len(dims), max([*dims, 2])
    frames = [np.linalg.qr(rng.normal(size=(n_columns, n_columns)))[0] for _ in dims]
    latent = np.sort(rng.uniform(2, 9, (k, q)))[:, ::-1].copy()
    return SubspaceParameters(
        weights=torch.from_numpy(rng.dirichlet(np.ones(k)))[None],
        means=torch.from_numpy(3 * rng.normal(size=(1, k, n_columns))),
        bases=torch.from_numpy(np.stack([frame[:q] for frame in frames]))[None],
        latent=torch.from_numpy(latent)[None],
        noise=torch.from_numpy(rng.uniform(0.2, 0.9, (1, k))),
        dims=torch.tensor([dims]),
        log_volume=torch.zeros((1, k), dtype=torch.float64),
        sketch=torch.from_numpy(np.stack([f[: q + 2] for f in frames]))[None] if sketch else None,
    )


def moments(p: SubspaceParameters, members: list[int]) -> tuple[float, np.ndarray, np.ndarray]:
    """Weight, mean and covariance of some components together."""
    weight, mean, second = 0.0, np.zeros(p.means.shape[-1]), 0.0
    for k in members:
        d, w = int(p.dims[0, k]), float(p.weights[0, k])
        v, mu = p.bases[0, k, :d].numpy(), p.means[0, k].numpy()
        noise = float(p.noise[0, k])
        C = noise * np.eye(len(mu)) + v.T @ np.diag(p.latent[0, k, :d].numpy() - noise) @ v
        weight, mean, second = weight + w, mean + w * mu, second + w * (C + np.outer(mu, mu))
    mean = mean / weight
    return weight, mean, second / weight - np.outer(mean, mean)


def check_sound(p: SubspaceParameters, n_components: int) -> None:
    assert p.weights.shape == (1, n_components)
    assert float(p.weights.sum()) == pytest.approx(1)
    for name, value in p._tensors():
        assert torch.isfinite(value).all(), name
        assert value.shape[1] == n_components
    frames = p.bases @ p.bases.mT
    assert torch.allclose(frames, torch.eye(frames.shape[-1]).double().expand_as(frames))
    inside = p.latent[p.in_subspace]
    assert (inside >= p.noise.flatten()[p.axis_owner] - 1e-12).all()


@pytest.mark.parametrize("kind", SPLITS)
@pytest.mark.parametrize("sketch", [False, True])
def test_a_split_shares_weight_and_place(kind: str, sketch: bool) -> None:
    before = mixture([2, 1, 2], sketch=sketch)
    after = split(before, 0, kind)
    check_sound(after, 4)
    weight, mean, C = moments(before, [0])
    new_weight, new_mean, new_C = moments(after, [0, 3])
    assert new_weight == pytest.approx(weight)
    np.testing.assert_allclose(new_mean, mean, atol=1e-12)
    assert after.weights[0, 0] == after.weights[0, 3]
    if kind == "along":  # 0.64 of the variance between the halves, 0.36 within
        np.testing.assert_allclose(new_C, C, atol=1e-9)
    if kind == "cross":
        assert after.dims.tolist() == [[1, 1, 2, 1]]
    for name, value in before._tensors():  # the others are as they were
        assert torch.equal(getattr(after, name)[:, 1:3], value[:, 1:3])


def test_held_components_stay_last_in_a_split() -> None:
    before = mixture([2, 1, 0])
    after = split(before, 1, "along", n_held=1)
    assert after.dims.tolist() == [[2, 1, 1, 0]]
    assert torch.equal(after.means[0, 3], before.means[0, 2])


@pytest.mark.parametrize("sketch", [False, True])
@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2)])
def test_a_merge_keeps_weight_and_mean(pair: tuple[int, int], sketch: bool) -> None:
    before = mixture([2, 1, 2], sketch=sketch)
    after = merge(before, *pair)
    check_sound(after, 2)
    weight, mean, C = moments(before, list(pair))
    new_weight, new_mean, new_C = moments(after, [pair[0]])
    assert new_weight == pytest.approx(weight)
    np.testing.assert_allclose(new_mean, mean, atol=1e-12)
    # The leading axis is that of the two components' joint covariance.
    lead = np.linalg.eigh(C)[1][:, -1]
    assert abs(lead @ after.bases[0, pair[0], 0].numpy()) > 0.95
    assert np.trace(new_C) <= np.trace(C) * 1.01


def test_merging_twins_gives_one_of_them() -> None:
    p = mixture([2, 1])
    twins = SubspaceParameters(**{name: value[:, [0, 0, 1]] for name, value in p._tensors()})
    twins.weights.div_(twins.weights.sum())
    merged = merge(twins, 0, 1)
    _, mean, C = moments(p, [0])
    _, new_mean, new_C = moments(merged, [0])
    np.testing.assert_allclose(new_mean, mean, atol=1e-12)
    np.testing.assert_allclose(new_C, C, atol=1e-6)


@pytest.mark.parametrize("d", [0, 1, 2])
def test_a_dimension_changes_alone(d: int) -> None:
    before = mixture([2, 1, 2])
    after = change_dim(before, 1, d)
    check_sound(after, 3)
    assert after.dims.tolist() == [[2, d, 2]]
    assert before.dims.tolist() == [[2, 1, 2]]  # the original is left alone


def test_close_pairs_come_first() -> None:
    p = mixture([0, 0, 0, 0])
    p.noise.fill_(1.0)
    p.means.zero_()
    p.means[0, :, 0] = torch.tensor([0.0, 10.0, 11.0, 30.0])
    assert closest_pairs(p, 4, 2) == [(1, 2), (0, 1)]
    assert closest_pairs(p, 2, 5) == [(0, 1)]  # of the learned ones
    p.noise[0, 0] = p.noise[0, 3] = 1000.0  # in units of their own spread
    assert closest_pairs(p, 4, 1) == [(0, 1)] or closest_pairs(p, 4, 1) == [(0, 2)]
