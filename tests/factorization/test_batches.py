"""Factors that share a prior, worked on together or one at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lowdim import SpatialFactorization
from lowdim.factorization import _processes, _tables
from lowdim.factorization._exact import ExactProcess
from lowdim.factorization._hilbert import HilbertProcess
from lowdim.factorization._inducing import InducingProcess
from lowdim.factorization._processes import Process, batches, grouped
from lowdim.factorization._slides import Slides
from lowdim.kernels import Kernel

N, B = 40, 4
KERNEL = Kernel("matern32", torch.tensor([0.8]).double(), torch.tensor(1.3).double())
NAMES = ("mean", "variance", "divergence", "evidence")


def process_of(kind: str, places: torch.Tensor) -> Process:
    if kind == "exact":
        return ExactProcess.of(places, KERNEL, 1e-3)
    if kind == "inducing":
        return InducingProcess.of(places, places[:15], KERNEL, 1e-3)
    if kind == "hilbert":
        return HilbertProcess.of(places, KERNEL, 1e-3, 60)
    rows = [torch.arange(0, N, 3), torch.tensor([i for i in range(N) if i % 3])]
    return Slides([ExactProcess.of(places[own], KERNEL, 1e-3) for own in rows], rows)


@pytest.mark.parametrize("level", [False, True])
@pytest.mark.parametrize("kind", ["exact", "inducing", "hilbert", "slides"])
def test_factors_do_not_see_one_another(kind: str, level: bool) -> None:
    rng = np.random.default_rng(0)
    places = torch.from_numpy(rng.normal(size=(N, 2)))
    new = torch.from_numpy(rng.normal(size=(9, 2)))
    l1 = torch.from_numpy(rng.normal(size=(B, N)))
    l2 = torch.from_numpy(rng.gamma(1.0, 2.0, size=(B, 1 if level else N)) + 1e-4).expand(B, N)
    process = process_of(kind, places)
    together = process.given(l2)
    for j in range(B):
        own = slice(j, j + 1)
        alone = process.given(l2[own])
        one, other = alone.posterior(l1[own]), together.posterior(l1)
        for name in NAMES:
            np.testing.assert_allclose(
                getattr(one, name)[0], getattr(other, name)[j], rtol=1e-10, atol=1e-12
            )
        a, b = alone.project(places)[0], together.project(places)[j]
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
        if kind != "slides":
            for a, b in zip(alone.predict(new, l1[own]), together.predict(new, l1), strict=True):
                np.testing.assert_allclose(a[0], b[j], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", ["exact", "inducing"])
def test_chunks_of_rows_do_not_matter(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    places = torch.from_numpy(rng.normal(size=(N, 2)))
    l1, l2 = torch.from_numpy(rng.normal(size=(2, B, N)))
    l2 = l2.exp()

    def answers() -> list[Any]:
        known = process_of(kind, places).given(l2)
        found = known.posterior(l1)
        return [getattr(found, name) for name in NAMES] + list(known.predict(places + 0.1, l1))

    whole = answers()
    monkeypatch.setattr(_tables, "CHUNK_VALUES", 200)
    for one, other in zip(answers(), whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_groups_are_those_of_the_prior_and_fit_into_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places = torch.from_numpy(np.random.default_rng(0).normal(size=(N, 2)))
    first = ExactProcess.of(places, KERNEL, 1e-3)
    other = first.with_nugget(0.1)
    processes = [first, other, ExactProcess.of(places, KERNEL, 1e-3), first, other]
    found = list(grouped(processes, [0, 1, 2, 4]))
    assert [own for _, own in found] == [[0, 2], [1, 4]]
    assert found[0][0] is first
    assert found[1][0] is other
    monkeypatch.setattr(_processes, "BATCH_VALUES", 2 * first.size)
    assert list(batches(first, [0, 1, 2, 3, 4])) == [[0, 1], [2, 3], [4]]
    monkeypatch.setattr(_processes, "BATCH_VALUES", 1)
    assert list(batches(first, [3, 1])) == [[3], [1]]


def counts_and_places() -> tuple[np.ndarray, np.ndarray]:
    """Counts of three smooth factors."""
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 10, size=(90, 2))
    centres = rng.uniform(2, 8, size=(3, 2))
    factors = 4 * np.exp(-0.2 * ((places[:, None] - centres) ** 2).sum(2))
    return rng.poisson(0.2 + factors @ rng.gamma(0.5, 2, size=(3, 12))).astype(float), places


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"inducing": 30},
        {"inducing": "hilbert", "length_scale": 2.0},
        {"length_scale": "learned"},
        {"nonnegative": False, "likelihood": "gaussian"},
    ],
    ids=str,
)
def test_fits_are_those_of_one_factor_at_a_time(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, places = counts_and_places()
    sizes = []

    def fitted() -> SpatialFactorization:
        given = ExactProcess.given, InducingProcess.given, HilbertProcess.given
        with monkeypatch.context() as patched:
            for kind, do in zip(
                (ExactProcess, InducingProcess, HilbertProcess), given, strict=True
            ):

                def counted(self: Any, l2: torch.Tensor, do: Any = do) -> Any:
                    sizes.append(len(l2))
                    return do(self, l2)

                patched.setattr(kind, "given", counted)
            model = SpatialFactorization(3, random_state=0, max_iter=6, **options)
            return model.fit(counts, places)

    together = fitted()
    assert max(sizes) > 1
    again = SpatialFactorization(3, random_state=0, max_iter=6, **options).fit(counts, places)
    np.testing.assert_array_equal(again.factors_, together.factors_)
    sizes.clear()
    monkeypatch.setattr(_processes, "BATCH_VALUES", 1)
    apart = fitted()
    assert max(sizes) == 1
    np.testing.assert_allclose(apart.lower_bounds_, together.lower_bounds_, rtol=1e-10)
    np.testing.assert_allclose(apart.factors_, together.factors_, rtol=1e-7, atol=1e-9)
    one, other = apart.predict_factors(places[:5]), together.predict_factors(places[:5])
    np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-9)
