"""What all factorizations share: checks, fitted attributes, answers, files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from lowdim import _storage
from lowdim._device import resolve_device, resolve_dtype
from lowdim._journal import LongFit
from lowdim._random import generator
from lowdim._threads import threads_for
from lowdim._validation import check_in, check_interval, check_positive_int
from lowdim._warnings import warn_caller
from lowdim.data.estimator_rows import read_rows
from lowdim.data.sources import RowSource, as_rows
from lowdim.factorization._checkpoint import arrays_of, fitted_of
from lowdim.factorization._convergence import CHECKS
from lowdim.factorization._data import Data, Fitted, in_memory
from lowdim.factorization._file_counts import FileCounts
from lowdim.factorization._fit import Settings, factors_of_new_rows, fit_factors
from lowdim.factorization._jensen import monte_carlo_bound
from lowdim.factorization._places import check_coordinates
from lowdim.factorization._rotation import GAMMA, rotation_of
from lowdim.factorization._size_factors import MedianRatios, TotalUnit, rule_of, size_factors_of
from lowdim.factorization._slide_names import check_samples
from lowdim.factorization._space import Space
from lowdim.factorization._trouble import trouble
from lowdim.kernels import KERNELS

NO_SIZES = "size_factors are of counts: with likelihood='gaussian' scale the values yourself."
LIKELIHOODS = ("poisson", "negative_binomial", "gaussian")
#: Settings of those estimators that have no use for them.
ABSENT: dict[str, Any] = {
    "kernel": "matern32",
    "length_scale": "auto",
    "amplitude": 1.0,
    "nugget": 1e-3,
    "inducing": "auto",
    "prune": True,
    "n_init": 1,
    "polish": 0,
}
#: Attributes that not every fit has.
OPTIONAL = (
    "log_factors_", "log_factor_variances_", "factor_variances_", "intercepts_", "dispersions_",
    "noise_variances_", "length_scales_", "nuggets_", "jitter_",
)  # fmt: skip


class Factors(BaseEstimator):
    """Rows as sums over factors; how these depend on places is up to the estimator."""

    random_state: Any
    size_factors: Any
    _size_rule: TotalUnit | MedianRatios | None

    # Fitting --------------------------------------------------------------------------------

    def _fit_rows(self, X: Any, coordinates: Any, samples: Any, n_spatial: int) -> None:
        source = self._read(X)
        settings = self._settings(n_spatial)
        values = self._values(source)
        _check_known(values)
        n = source.n_rows
        codes, names = check_samples(samples, n)
        places = check_coordinates(coordinates, n) if n_spatial else None
        rule = rule_of(self._sizes, values)
        data = Data(values, size_factors_of(self._sizes, rule, values), places, codes)
        given = {"coordinates": places, "samples": codes}
        long_fit = LongFit(self, source, generator(self.random_state), given)
        with threads_for(source.n_rows * source.n_cols), long_fit as journal:
            fit = fit_factors(data, settings, journal)
            self._size_rule, self.samples_ = rule, names
            self._set(fit, data.sizes)
        if not fit.course.converged and not journal.asked:
            warnings.warn(
                f"{type(self).__name__} did not converge within max_iter={settings.max_iter} "
                "rounds; raise max_iter, or tol.",
                ConvergenceWarning,
                stacklevel=3,
            )
        for message in trouble(fit):
            warnings.warn(message, RuntimeWarning, stacklevel=3)

    def _read(self, X: Any, *, reset: bool = True) -> RowSource:
        """The rows, checked; counts that stay in a file must all be known."""
        source = as_rows(X)
        known = self._stays_on_disk(source)
        return read_rows(self, source, reset=reset, counts=self._counted, allow_nan=not known)

    @property
    def _by_blocks(self) -> bool:
        """Whether the rows of a file are read block by block."""
        return self._counted and self._positive

    def _stays_on_disk(self, source: RowSource) -> bool:
        return self._by_blocks and not source.in_memory

    def _values(self, source: RowSource) -> np.ndarray | sp.csr_array | FileCounts:
        """All values, (N, J), in memory, but for counts of positive factors in a file."""
        if self._stays_on_disk(source):
            return FileCounts(source, torch.empty(0, dtype=torch.float64))
        return in_memory(source.rows(0, source.n_rows), counted=self._counted)

    @property
    def _counted(self) -> bool:
        return self._likelihood != "gaussian"

    @property
    def _likelihood(self) -> str:
        return check_in(self.likelihood, "likelihood", LIKELIHOODS)  # type: ignore[attr-defined]

    @property
    def _sizes(self) -> Any:
        """The argument `size_factors`, which counts alone have."""
        if not self._counted and self.size_factors is not None:
            raise ValueError(NO_SIZES)
        return self.size_factors

    @property
    def _positive(self) -> bool:
        return check_in(self.nonnegative, "nonnegative", (True, False))  # type: ignore[attr-defined]

    @property
    def _rotation_method(self) -> str | None:
        wanted = self.rotation  # type: ignore[attr-defined]
        return None if wanted is None else check_in(wanted, "rotation", tuple(GAMMA))

    def _settings(self, n_spatial: int) -> Settings:
        def own(name: str) -> Any:
            return getattr(self, name, ABSENT.get(name))

        if not self._positive:
            _ = self._rotation_method  # is checked before the work
        polish = own("polish")
        if polish != 0:
            polish = check_positive_int(polish, "polish")
            if not self._positive or not self._counted:
                raise ValueError(
                    "polish is for counts of nonnegative factors: elsewhere the bound is closed."
                )
        return Settings(
            n_factors=check_positive_int(own("n_factors"), "n_factors"),
            n_spatial=n_spatial,
            likelihood=self._likelihood,
            positive=self._positive,
            kernel=check_in(own("kernel"), "kernel", tuple(KERNELS)),
            length_scale=_check_length_scale(own("length_scale")),
            amplitude=check_interval(own("amplitude"), "amplitude", low=0.0, closed="neither"),
            nugget=check_interval(own("nugget"), "nugget", low=0.0, closed="neither"),
            inducing=own("inducing"),
            n_init=check_positive_int(own("n_init"), "n_init"),
            max_iter=check_positive_int(own("max_iter"), "max_iter"),
            tol=check_interval(own("tol"), "tol", low=0.0),
            stopping=check_in(own("stopping"), "stopping", tuple(CHECKS)),
            prune=check_in(own("prune"), "prune", (True, False)),
            polish=polish,
            device=resolve_device(own("device")),
            dtype=resolve_dtype(own("dtype"), torch.float64),
            verbose=int(own("verbose")),
        )

    def _set(self, fit: Fitted, sizes: np.ndarray) -> None:
        state = fit.state
        n = len(sizes)
        self._fit = fit
        self._rotation = None if self._positive else rotation_of(state, self._rotation_method)
        mean, variance = self._turned(as_numpy(state.mean.T), as_numpy(state.variance.T))
        self.loadings_ = as_numpy(state.loadings)
        if self._rotation is not None:
            self.loadings_ = self.loadings_ @ self._rotation
        for name in OPTIONAL:
            self.__dict__.pop(name, None)  # of an earlier fit with other settings
        if self._positive:
            self.log_factors_, self.log_factor_variances_ = mean, variance
            self.factors_ = np.exp(mean + 0.5 * variance)
        else:
            self.factors_, self.factor_variances_ = mean, variance
            self.intercepts_ = as_numpy(_required(state.intercepts))
        if state.shapes is not None:
            self.dispersions_ = 1.0 / as_numpy(state.shapes)
        if state.noise is not None:
            self.noise_variances_ = as_numpy(state.noise)
        if fit.space is not None:
            scales = [as_numpy(process.kernel.length_scale) for process in state.processes]
            self.length_scales_ = np.array(scales) * fit.space.scale
            self.nuggets_ = np.array([process.nugget for process in state.processes])
            self.jitter_ = state.jitter
        self.size_factors_ = sizes
        self.lower_bounds_ = np.array(fit.course.bounds) / n
        self.lower_bound_ = state.bound / n
        self.n_iter_ = len(fit.course.bounds)
        self.n_refused_ = fit.course.n_refused
        self.converged_ = fit.course.converged

    # Answers --------------------------------------------------------------------------------

    @property
    def components_(self) -> np.ndarray:
        """`loadings_` as scikit-learn lays them out, (L, J)."""
        return self.loadings_.T

    @property
    def _n_features_out(self) -> int:
        return len(self.loadings_.T)

    def reconstruct(self, rows: slice = slice(None)) -> np.ndarray:
        """Expected values of the rows that were fitted, or of some of them, (n, J)."""
        check_is_fitted(self)
        state = self._fit.state
        mean, variance = as_numpy(state.mean.T[rows]), as_numpy(state.variance.T[rows])
        return self._expected(mean, variance, self.size_factors_[rows])

    def monte_carlo_bound(
        self, X: Any, n_draws: int = 32, random_state: Any = None
    ) -> tuple[float, float]:
        """The bound per row by draws of the factors, and its standard error.

        For counts of nonnegative factors `lower_bound_` is lower still, by Jensen's inequality;
        the difference says by how much. Elsewhere the two agree but for the negative binomial.

        Parameters
        ----------
        X : (N, J)
            The rows that were fitted.
        n_draws : int, default=32
        random_state : int, Generator or RandomState, optional
        """
        check_is_fitted(self)
        source = self._read(X, reset=False)
        if source.n_rows != len(self.factors_):
            raise ValueError(f"X has {source.n_rows} rows, and {len(self.factors_)} were fitted.")
        rng = generator(random_state)
        draws = check_positive_int(n_draws, "n_draws")
        data = Data(self._values(source), self.size_factors_, None, np.zeros(0))
        return monte_carlo_bound(data, self._fit, self._settings(0), draws, rng)

    def _expected(self, mean: np.ndarray, variance: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """Expected values under posteriors of what the model is written in, (n, L) each."""
        W = as_numpy(self._fit.state.loadings)
        if self._positive:
            return np.asarray(sizes[:, None] * (np.exp(mean + 0.5 * variance) @ W.T))
        linear = self.intercepts_ + mean @ W.T
        if not self._counted:
            return np.asarray(linear)
        return np.asarray(sizes[:, None] * np.exp(linear + 0.5 * variance @ np.square(W).T))

    def _transform(
        self, X: Any, coordinates: Any, samples: Any, size_factors: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Posterior means and variances of other rows' factors or logarithms, (n, L) each."""
        check_is_fitted(self)
        source = self._read(X, reset=False)
        values = self._values(source)
        n = source.n_rows
        if self._size_rule is None and size_factors is None and self._sizes is not None:
            raise ValueError(
                "size_factors of the new rows must be given: those of the fit were given as well."
            )
        if not self._counted and size_factors is not None:
            raise ValueError(NO_SIZES)
        rule = self._size_rule if size_factors is None else None
        sizes = size_factors_of(size_factors, rule, values)
        old, space, places = self._fit.space, None, None
        codes, _ = check_samples(samples, n)
        settings = self._settings(0)
        if old is not None:
            places = check_coordinates(coordinates, n, old.coordinates.shape[1])
            space = Space.of(
                places, codes, _default_inducing(settings.inducing), generator(0),
                kernel=old.kernel, amplitude=old.amplitude, nugget=old.nugget, like=old.like,
                given_scale=old.scale,
            )  # fmt: skip
        data = Data(values, sizes, places, codes)
        # Without places rows have nothing to do with each other, and are read once.
        parts = data.parts(counted=self._counted) if space is None else [data]
        means, variances, settled = [], [], True
        with threads_for(source.n_rows * source.n_cols):
            for part in parts:
                state, converged = factors_of_new_rows(part, self._fit, settings, space)
                means.append(as_numpy(state.mean.T))
                variances.append(as_numpy(state.variance.T))
                settled &= converged
        if not settled:
            warn_caller(
                f"transform did not converge within max_iter={settings.max_iter} rounds; raise "
                "max_iter, or tol.",
                ConvergenceWarning,
            )
        return np.concatenate(means), np.concatenate(variances)

    def _turned(self, mean: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and variances on the axes that are shown."""
        if self._rotation is None:
            return mean, variance
        return mean @ self._rotation, variance @ np.square(self._rotation)

    def _natural(self, mean: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and variances of factors from those of what the model is written in."""
        if not self._positive:
            return self._turned(mean, variance)
        expected = np.exp(mean + 0.5 * variance)
        return expected, np.square(expected) * np.expm1(variance)

    # Files ----------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the fitted model to one HDF5 file; `lowdim.load` reads it. Never a pickle."""
        check_is_fitted(self)
        header = {
            "class": type(self).__name__,
            "params": _storage.plain(self.get_params()),
            "size_unit": None if self._size_rule is None else self._size_rule.unit,
            "n_features_in": self.n_features_in_,
        }
        arrays = arrays_of(self._fit)
        arrays |= {"sizes": self.size_factors_, "samples": self.samples_}
        if isinstance(self._size_rule, MedianRatios):
            arrays["size_reference"] = self._size_rule.reference
        if hasattr(self, "feature_names_in_"):
            arrays["feature_names_in"] = self.feature_names_in_
        _storage.write(path, header, arrays)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a model that `save` wrote."""
        header, arrays = _storage.read(path, expected=cls.__name__)
        model = cls()
        model.set_params(**_storage.params_of(header))
        model._size_rule, model.samples_ = None, arrays.pop("samples")
        if "size_reference" in arrays:
            model._size_rule = MedianRatios(arrays.pop("size_reference"), header["size_unit"])
        elif header["size_unit"] is not None:
            model._size_rule = TotalUnit(header["size_unit"])
        model.n_features_in_ = header["n_features_in"]
        if "feature_names_in" in arrays:
            model.feature_names_in_ = arrays.pop("feature_names_in")
        sizes = arrays.pop("sizes")
        model._set(fitted_of(arrays, model._settings(0).like), sizes)
        return model

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.input_tags.positive_only = self.likelihood != "gaussian"  # type: ignore[attr-defined]
        return tags


def _check_length_scale(wanted: Any) -> Any:
    """None for "auto", "learned", or numbers."""
    if isinstance(wanted, str):
        return None if check_in(wanted, "length_scale", ("auto", "learned")) == "auto" else wanted
    scale = np.asarray(wanted, dtype=np.float64)
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise ValueError(f"length_scale={wanted!r} must be positive and finite.")
    return scale


def _check_known(values: Any) -> None:
    """Raise ValueError where a column has no known value."""
    if not isinstance(values, np.ndarray):  # CSR
        return
    unknown = np.isnan(np.fmin.reduce(values))
    if unknown.any():
        raise ValueError(
            f"Column {int(unknown.argmax())} of X has no value that is known (all NaN); drop it."
        )


def _default_inducing(wanted: Any) -> Any:
    """Of a new slide: points that were given are those of another."""
    return "auto" if np.ndim(wanted) else wanted


def _required(value: Any) -> Any:
    assert value is not None
    return value


def as_numpy(tensor: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.cpu().numpy(), dtype=np.float64)
