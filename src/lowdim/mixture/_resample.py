"""A fitted mixture of subspaces refitted to rows drawn with replacement."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.linalg import subspace_angles

from lowdim._results import StopReason
from lowdim.data.blocks import Block
from lowdim.data.estimator_rows import standardized_rows
from lowdim.data.passes import Passes
from lowdim.data.sources import RowSource
from lowdim.data.standardized import StandardizedRows
from lowdim.math.linalg import procrustes_align
from lowdim.mixture._em import EMOptions
from lowdim.mixture._family import responsibilities
from lowdim.mixture._matching import Overlap, component_kinds, match
from lowdim.mixture._subspace.arguments import check_arguments
from lowdim.mixture._subspace.attributes import parameters_of, set_fitted
from lowdim.mixture._subspace.family import SubspaceFamily
from lowdim.mixture._subspace.fit import (
    SubspaceFit,
    keep_best,
    run_restarts,
)
from lowdim.mixture._subspace.parameters import SubspaceParameters
from lowdim.mixture._subspace.train import prepare

if TYPE_CHECKING:
    from lowdim._typing import Float64Array
    from lowdim.mixture.subspace import SubspaceMixture

#: A replicate is at its maximum when a step gains less than this in all (nats). A standard error
#: away from the maximum half a nat is lost, whatever the number of rows.
SETTLED = 1e-3


@dataclass(frozen=True, eq=False)
class Replicate:
    """One refit in the order and orientation of the model, in the data's units.

    ``latent`` has the variances of all components' axes, (sum of d,); the rest is as in
    `SubspaceBootstrap`.
    """

    weights: Float64Array
    noise: Float64Array
    latent: Float64Array
    means: Float64Array
    bases: list[Float64Array]
    angles: Float64Array
    overlap: Float64Array
    converged: bool


class _Reweighted(Passes):
    """The same rows under other weights."""

    def __init__(self, rows: StandardizedRows, weights: Float64Array) -> None:
        self.rows, self.weights = rows, weights
        self.device = rows.device
        self.total_weight = float(weights.sum())

    @property
    def local(self) -> bool:
        return self.rows.local

    def __iter__(self) -> Iterator[Block]:
        for block in self.rows:
            yield _reweighted(block, self.weights[block.start : block.start + block.n_rows])

    def total(self, function: Callable[..., Any], along: np.ndarray | None = None) -> Any:
        """What the function says of blocks under these weights, where they are."""
        assert along is None
        return self.rows.total(partial(_under_weights, function), self.weights)


def _under_weights(function: Callable[[Block], Any], block: Block, weights: np.ndarray) -> Any:
    return function(_reweighted(block, weights))


def _reweighted(block: Block, weights: np.ndarray) -> Block:
    """A copy that shares all but the weights."""
    norms = block.squared_norms  # worked out once, and shared by the copies
    twin = copy.copy(block)
    vars(twin).update(squared_norms=norms, weights=torch.from_numpy(weights).to(norms.device))
    vars(twin).pop("host_weights", None)  # those of the block
    return twin


class _PlacedFamily(SubspaceFamily):
    """Subspaces that are not put elsewhere when they starve: what they were would be lost."""

    def reseed(self, parameters: SubspaceParameters, dead: torch.Tensor) -> SubspaceParameters:
        """Leave the restart as it is; EM then reports it as degenerate."""
        return parameters


@dataclass(frozen=True, eq=False)
class Refit:
    """What all replicates share; called with a generator, it makes one.

    Attributes
    ----------
    model : SubspaceMixture
        The fitted model, with an explicit list of dimensions.
    data : StandardizedRows
    probability : ndarray of shape (N,)
        Of each row, to be drawn.
    n_draws : int
    family, options, start
        How EM goes on, and from where.
    fitted : SubspaceParameters
        The model itself.
    """

    model: SubspaceMixture
    data: StandardizedRows
    probability: Float64Array
    n_draws: int
    family: SubspaceFamily
    options: EMOptions
    start: SubspaceParameters
    fitted: SubspaceParameters

    @classmethod
    def of(
        cls,
        model: SubspaceMixture,
        source: RowSource,
        weight: Float64Array | None,
        rng: np.random.Generator,
    ) -> Refit:
        """Check the model's arguments against the rows, and read these once."""
        twin = _twin(model)
        arguments = check_arguments(twin, source)
        data = standardized_rows(
            source,
            device=arguments.device,
            dtype=arguments.dtype,
            sample_weight=weight,
            block_rows=model.batch_size,
        )
        if data.local:
            for _ in data:  # what is kept of them is made before threads ask for it
                pass
        n_draws = round(data.total_weight)
        if n_draws < len(model.weights_) + 1:
            raise ValueError(
                f"sample_weight sums to {data.total_weight:g}; a weight is how often a row counts, "
                "and the sum how many rows a replicate draws. Scale the weights accordingly."
            )
        made, _ = prepare(arguments, data, rng)
        parts = {field.name: getattr(made, field.name) for field in fields(made)}
        family = _PlacedFamily(**{**parts, "reassign": False, "total_weight": float(n_draws)})
        fitted = parameters_of(twin, data)
        every = np.ones(data.n_rows) if weight is None else weight
        return cls(
            model=twin,
            data=data,
            probability=every / every.sum(),
            n_draws=n_draws,
            family=family,
            options=replace(
                arguments.options, tol=min(arguments.options.tol, SETTLED / n_draws), annealing=None
            ),
            start=made.starter.with_sketch(fitted),
            fitted=fitted,
        )

    def __call__(self, rng: np.random.Generator) -> Replicate | None:
        """One replicate; None if EM failed or ended with a degenerate component."""
        weights = rng.multinomial(self.n_draws, self.probability).astype(np.float64)
        rows = _Reweighted(self.data, weights)
        result = run_restarts(self.family, rows, [self.start], self.options)
        if result.degenerate[0] or not np.isfinite(result.objective[0]):
            return None
        return self._matched(keep_best(self.family, rows, result, self.options, None))

    def _matched(self, fit: SubspaceFit) -> Replicate:
        """The components in the order of the model's, and what they have in common with them."""
        refitted = copy.copy(self.model)
        set_fitted(refitted, fit, self.data)
        shares = self._overlap(fit.parameters).jaccard
        partner = match(shares, component_kinds(self.model), component_kinds(refitted))
        angles = np.full((len(partner), max(self.model.dims_.tolist())), np.nan)
        bases = []
        for k, (basis, other) in enumerate(zip(self.model.bases_, partner.tolist(), strict=True)):
            own, d = refitted.bases_[other], len(basis)
            if d:
                angles[k, :d] = np.degrees(subspace_angles(basis.T, own.T))
            bases.append(procrustes_align(own, basis) if d else own)
        return Replicate(
            weights=refitted.weights_[partner],
            noise=refitted.noise_variances_[partner],
            latent=np.concatenate([refitted.latent_variances_[k] for k in partner]),
            means=refitted.means_[partner],
            bases=bases,
            angles=angles,
            overlap=shares[np.arange(len(partner)), partner],
            converged=fit.reason is StopReason.CONVERGED,
        )

    def _overlap(self, parameters: SubspaceParameters) -> Overlap:
        """What the model's components share with others, summed over all rows as they are."""
        family, assignment = self.family.to_send(), self.options.assignment
        common = partial(_in_common, family, assignment, self.fitted, parameters)
        overlap: Overlap = self.data.total(common)
        return overlap


def _in_common(
    family: SubspaceFamily,
    assignment: str,
    first: SubspaceParameters,
    second: SubspaceParameters,
    block: Block,
) -> Overlap:
    """What the components of two mixtures share of a block."""
    score = family.closeness if assignment == "closest" else family.log_joint
    r, s = (
        responsibilities(score(block, one), assignment)[1][0].numpy(force=True)
        for one in (first, second)
    )
    overlap = Overlap(len(r), len(s))
    overlap.add(r, s, None if block.weights is None else block.weights.cpu().numpy())
    return overlap


def _twin(model: SubspaceMixture) -> SubspaceMixture:
    """The fitted model under settings that fit what it is: its dimensions as a list."""
    twin = copy.copy(model)
    n_free = len(model.weights_) - len(model._held)
    dims = model.dims_[:n_free].tolist()
    return twin.set_params(dims=dims, n_components=1, init="auto", annealing=None)
