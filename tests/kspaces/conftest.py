"""Data with known structure, and the installed kspaces to compare with."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import kspaces
import numpy as np
import pytest

from lowdim import data
from lowdim.kspaces import affine_subspace


@pytest.fixture(autouse=True)
def global_seed() -> Iterator[None]:
    """kspaces draws from NumPy's global stream: the same numbers in every test, and no trace."""
    state = np.random.get_state()
    np.random.seed(0)
    yield
    np.random.set_state(state)


@pytest.fixture
def quietly() -> Callable[..., Any]:
    """Call a function of kspaces without its prints and its libraries' warnings."""

    def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)

    return call


@pytest.fixture(scope="session")
def planted() -> data.SimulatedSubspaces:
    """600 rows around two lines and a plane in five columns, noise 0.1."""
    return data.subspaces(
        [200, 200, 200],
        dims=[1, 1, 2],
        n_columns=5,
        noise=0.1,
        latent=3.0,
        separation=2 * np.sqrt(10),
        random_state=0,
    )


@pytest.fixture(scope="session")
def truth(planted: data.SimulatedSubspaces) -> list[affine_subspace]:
    """The spaces that the planted rows were drawn around."""
    return [
        affine_subspace(basis, planted.means[k], 0.1, [3.0] * len(basis), 1 / 3)
        for k, basis in enumerate(planted.bases)
    ]


@pytest.fixture
def as_old() -> Callable[..., list[Any]]:
    """Spaces as objects of the installed kspaces."""

    def convert(spaces: list[affine_subspace]) -> list[Any]:
        return [
            getattr(kspaces, type(space).__name__)(
                space.vectors.copy(),
                space.translation.copy(),
                space.sigma,
                space.latent_sigmas.copy(),
                space.prior,
            )
            for space in spaces
        ]

    return convert
