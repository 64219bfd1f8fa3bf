"""Batches of parameters and sums of statistics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from lowdim.data.passes import add
from lowdim.mixture._family import Parameters, concatenate


@dataclass(frozen=True)
class Blobs(Parameters):
    centres: Tensor
    extra: Tensor | None = None
    name: str = "blobs"


def blobs(n_restarts: int, offset: float = 0.0) -> Blobs:
    values = torch.arange(n_restarts * 2).double().view(n_restarts, 2) + offset
    return Blobs(weights=values, centres=values[:, :, None] * 10)


def test_selection_by_number_and_by_mask() -> None:
    batch = blobs(3)
    for index in (torch.tensor([2, 0]), torch.tensor([True, False, True])):
        part = batch.select(index)
        assert part.n_restarts == 2
        assert torch.equal(part.weights, batch.weights[index])
        assert torch.equal(part.centres, batch.centres[index])
        assert part.extra is None
        assert part.name == "blobs"


def test_assignment_copies() -> None:
    batch, other = blobs(3), blobs(1, offset=100)
    changed = batch.assign(torch.tensor([1]), other)
    assert changed.weights.tolist() == [[0, 1], [100, 101], [4, 5]]
    assert changed.centres[1, 0, 0] == 1000
    assert batch.weights.tolist() == [[0, 1], [2, 3], [4, 5]]


def test_concatenation_undoes_selection() -> None:
    batch = blobs(4)
    parts = [batch.select(torch.tensor([i])) for i in range(4)]
    joined = concatenate(parts)
    assert torch.equal(joined.weights, batch.weights)
    assert torch.equal(joined.centres, batch.centres)


def test_statistics_add_up() -> None:
    parts = [{"a": torch.tensor([float(i)]), "b": torch.full((2,), i * 2.0)} for i in range(4)]
    total = reduce(add, parts)
    assert total["a"].tolist() == [6]
    assert total["b"].tolist() == [12, 12]
    assert total["b"].tolist() == [12, 12]
