"""Affinities of the points of a layout: kernels of their distances, and what brings them to one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from sklearn.base import BaseEstimator

from lowdim._validation import check_in, check_positive

if TYPE_CHECKING:
    import torch

NORMALIZATIONS = ("all", "rows", "sinkhorn")


class Kernel(NamedTuple):
    """A kernel for compiled sums: its kind, a number of `_pairs.sums`, and its parameter."""

    kind: int
    parameter: float


class OutputAffinity(BaseEstimator):  # type: ignore[misc]
    """How much points of a layout belong together, Q.

    With a kernel ``k_ij`` of pairs of points, ``normalization`` is what makes Q of it: "all"
    divides it by its sum over all pairs, as t-SNE does; "rows" brings each row to 1/N, as SNE does;
    "sinkhorn" scales rows and columns alike until all sum to 1/N, as SNEkhorn does. Points have no
    affinity to themselves.
    """

    #: Whether points lie in the Poincare ball rather than in a plane or space.
    in_ball = False

    @abstractmethod
    def kernel(self) -> Kernel | None:
        """The kernel for compiled sums, its parameter checked; None where there is none."""

    @abstractmethod
    def log_kernel(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Logarithms of the kernel of points, (..., d) and (..., d), as tensors that broadcast."""

    def checked(self) -> OutputAffinity:
        """Itself; ValueError where a parameter cannot be used."""
        check_in(self.normalization, "normalization", NORMALIZATIONS)
        self.kernel()
        return self


class NormalizedStudentAffinity(OutputAffinity):
    """``k_ij = (1 + r_ij^2 / a)^-a``: heavy tails, which leave room between groups.

    Parameters
    ----------
    dof : float, default=1.0
        a; smaller ones have heavier tails (Kobak and others 2019, Heavy-tailed kernels reveal a
        finer cluster structure in t-SNE visualisations).
    normalization : {"all", "rows", "sinkhorn"}, default="all"
        "all" is t-SNE's.
    """

    def __init__(self, dof: float = 1.0, *, normalization: str = "all") -> None:
        self.dof = dof
        self.normalization = normalization

    def kernel(self) -> Kernel:
        """For compiled sums."""
        return Kernel(0, check_positive(self.dof, "dof"))

    def log_kernel(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """``-a log(1 + r^2 / a)``."""
        return -self.dof * (_squares(first, second) / self.dof).log1p()


class NormalizedGaussianAffinity(OutputAffinity):
    """``k_ij = exp(-r_ij^2 / 2 s^2)``.

    Parameters
    ----------
    bandwidth : float, default=1.0
        s, the unit of length of the layout.
    normalization : {"all", "rows", "sinkhorn"}, default="rows"
        "rows" is SNE's, "all" that of symmetric SNE.
    """

    def __init__(self, bandwidth: float = 1.0, *, normalization: str = "rows") -> None:
        self.bandwidth = bandwidth
        self.normalization = normalization

    def kernel(self) -> Kernel:
        """For compiled sums."""
        return Kernel(1, check_positive(self.bandwidth, "bandwidth"))

    def log_kernel(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """``-r^2 / 2 s^2``."""
        return _squares(first, second) * (-0.5 / self.bandwidth**2)


class NormalizedHyperbolicAffinity(OutputAffinity):
    """``k_ij = 1 / (1 + d_ij^2 / g^2)``, with distances d in the Poincare ball.

    ``d_ij = arccosh(1 + 2 |z_i - z_j|^2 / ((1 - |z_i|^2) (1 - |z_j|^2)))`` (Guo, Guo and Yu 2022,
    CO-SNE: dimensionality reduction and visualization for hyperbolic data, equation 7).

    Parameters
    ----------
    gamma : float, default=0.5
        g.
    normalization : {"all", "rows", "sinkhorn"}, default="all"
    """

    in_ball = True

    def __init__(self, gamma: float = 0.5, *, normalization: str = "all") -> None:
        self.gamma = gamma
        self.normalization = normalization

    def kernel(self) -> Kernel:
        """For compiled sums."""
        return Kernel(2, check_positive(self.gamma, "gamma"))

    def log_kernel(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """``-log(1 + d^2 / g^2)``."""
        room = (1 - first.square().sum(-1)) * (1 - second.square().sum(-1))
        gap = 2 * _squares(first, second) / room
        # The root has no slope at zero, where points meet; the distance's square has.
        sine = (gap * (gap + 2)).clamp(min=1e-12).sqrt()
        return -((gap + sine).log1p() / self.gamma).square().log1p()


class NormalizedKernelAffinity(OutputAffinity):
    """Any kernel, by a function of two tensors of points; its gradient is torch's.

    Parameters
    ----------
    log_kernel : callable
        Takes points, (..., d) and (..., d), tensors that broadcast, and returns the logarithms of
        their kernel, (...); the same whichever comes first.
    normalization : {"all", "rows", "sinkhorn"}, default="all"
    in_ball : bool, default=False
        Whether points lie in the Poincare ball, of length less than one.

    Examples
    --------
    >>> laplace = NormalizedKernelAffinity(lambda a, b: -(a - b).abs().sum(-1))
    >>> laplace.normalization
    'all'
    """

    def __init__(
        self,
        log_kernel: Callable[..., Any],
        *,
        normalization: str = "all",
        in_ball: bool = False,
    ) -> None:
        self.log_kernel = log_kernel  # type: ignore[method-assign]
        self.normalization = normalization
        self.in_ball = in_ball

    def kernel(self) -> None:
        """There is no compiled one."""
        if not callable(self.log_kernel):
            raise TypeError(f"log_kernel={self.log_kernel!r} cannot be called; pass a function.")

    def log_kernel(self, first: Any, second: Any) -> Any:  # pragma: no cover
        """As given."""
        raise NotImplementedError


#: Output affinities by name.
NAMES: dict[str, type[OutputAffinity]] = {
    "student": NormalizedStudentAffinity,
    "gaussian": NormalizedGaussianAffinity,
    "hyperbolic": NormalizedHyperbolicAffinity,
}


def _squares(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return (first - second).square().sum(-1)
