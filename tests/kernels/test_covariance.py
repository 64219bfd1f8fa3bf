"""Kernels against scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn.gaussian_process.kernels import RBF, Matern

from lowdim.kernels import KERNELS, Kernel

PEERS = {
    "matern12": lambda scale: Matern(scale, nu=0.5),
    "matern32": lambda scale: Matern(scale, nu=1.5),
    "matern52": lambda scale: Matern(scale, nu=2.5),
    "rbf": RBF,
}


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("scale", [[0.7], [0.3, 2.0]])
def test_kernels_are_scikit_learns(name: str, scale: list[float]) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(20, 2)), rng.normal(size=(7, 2))
    kernel = Kernel(name, torch.tensor(scale, dtype=torch.float64), torch.tensor(1.5))
    expected = 1.5**2 * PEERS[name](np.array(scale) if len(scale) > 1 else scale[0])(a, b)
    got = kernel(torch.from_numpy(a), torch.from_numpy(b))
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-9)
    assert float(kernel.variance) == pytest.approx(2.25)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("scale", [[0.7], [0.7, 1.6]])
def test_spectral_densities_are_transforms_of_the_covariance(name: str, scale: list[float]) -> None:
    """``k(x) = (2 pi)^-D int S(w) cos(w'x) dw``, by the midpoint rule."""
    kernel = Kernel(name, torch.tensor(scale, dtype=torch.float64), torch.tensor(1.5).double())
    D = len(scale)
    n, step = (200_000, 0.02) if D == 1 else (1500, 0.08)
    along = step * (torch.arange(n, dtype=torch.float64) - (n - 1) / 2)
    frequencies = torch.cartesian_prod(*[along] * D).reshape(-1, D)
    places = torch.tensor([[0.0, 0.0], [0.5, -0.3], [1.2, 0.9]]).double()[:, :D]
    waves = torch.cos(frequencies @ places.T)
    got = (step / (2 * np.pi)) ** D * kernel.spectral_density(frequencies) @ waves
    expected = kernel(places[:1], places)[0]
    rough = name == "matern12"
    np.testing.assert_allclose(got, expected, atol=0.05 if rough else 2e-3)
