"""Compiled eigenvalues: those of LAPACK, and an end whatever is in the matrix."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from lowdim.math.spectrum import eigenvalues


def found(matrix: np.ndarray) -> np.ndarray:
    values = np.empty(len(matrix))
    eigenvalues(matrix.copy(), values)
    return np.sort(values)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 40])
@pytest.mark.parametrize("scale", [1e-60, 1.0, 1e60])
def test_they_are_those_of_lapack(n: int, scale: float) -> None:
    rng = np.random.default_rng(n)
    for rank in {1, max(1, n // 2), n}:
        root = rng.normal(size=(n, rank))
        matrix = scale * (root @ root.T)
        expected = np.linalg.eigvalsh(matrix)
        np.testing.assert_allclose(found(matrix), expected, atol=1e-13 * n * expected[-1])


def test_blocks_and_equal_eigenvalues() -> None:
    np.testing.assert_array_equal(found(np.zeros((5, 5))), np.zeros(5))
    np.testing.assert_array_equal(found(np.diag([3.0, 1.0, 3.0, 0.0])), [0.0, 1.0, 3.0, 3.0])
    np.testing.assert_allclose(found(np.ones((6, 6))), [0, 0, 0, 0, 0, 6], atol=1e-14)


ENDLESS = """
import numpy as np
from lowdim.math.spectrum import eigenvalues
rng = np.random.default_rng(0)
for n in (2, 3, 12, 40):
    for bad in (np.nan, np.inf, 1e-320, 1e308):
        for place in ((0, 0), (n - 1, n - 1), (0, n - 1), slice(None)):
            matrix = rng.normal(size=(n, n))
            matrix = matrix + matrix.T
            matrix[place] = bad
            eigenvalues(np.minimum(matrix, matrix.T), np.empty(n))
            eigenvalues(matrix, np.empty(n))
print("ended")
"""


def test_what_is_no_number_comes_to_an_end() -> None:
    """In a process of its own: compiled loops cannot be stopped."""
    ran = subprocess.run(
        [sys.executable, "-c", ENDLESS], capture_output=True, text=True, timeout=120, check=True
    )
    assert ran.stdout.strip() == "ended"
