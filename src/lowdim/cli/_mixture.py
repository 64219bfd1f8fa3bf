"""``lowdim mixture``: fit clusters or a mixture to a file."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from lowdim.cli._fit_file import fit_file
from lowdim.cli._usage import UsageError

if TYPE_CHECKING:
    from anndata import AnnData


def run(arguments: Namespace) -> None:
    """Fit one size or choose among several, and write what was found."""
    _check(arguments)
    clusters = arguments.family in ("kmeans", "soft-kmeans")
    what = "Clusters" if clusters else "Mixture"
    fit_file(arguments, lambda adata: _fit(adata, arguments), what)


def _check(arguments: Namespace) -> None:
    """Options that go together."""
    gaussian = arguments.family == "gaussian"
    if arguments.covariance_type is not None and not gaussian:
        raise UsageError(f"--covariance-type is not for --family {arguments.family}.")
    if arguments.rank is not None and arguments.covariance_type != "low_rank":
        raise UsageError("--rank is for --covariance-type low_rank.")
    sizes = arguments.n_components
    if arguments.criterion != "auto" and sizes is not None and len(sizes) == 1:
        raise UsageError("--criterion is for several numbers of components, such as -k 2-10.")


def _fit(adata: AnnData, arguments: Namespace) -> None:
    """Fit; the results go into `adata`."""
    from lowdim import tl

    sizes: Any = arguments.n_components or "auto"
    tl.mixture(
        adata,
        _estimator(arguments),
        n_components=sizes[0] if len(sizes) == 1 else sizes,
        criterion=arguments.criterion,
        layer=arguments.layer,
        use_rep=arguments.use_rep,
        key_added=arguments.key,
        random_state=arguments.random_state,
        checkpoint=arguments.checkpoint,
        n_jobs=arguments.n_jobs,
        verbose=int(not arguments.quiet),
    )


def _estimator(arguments: Namespace) -> Any:
    """The family with the settings that were asked for."""
    from lowdim.tl._mixture import FAMILIES

    settings = {
        "n_init": arguments.n_init,
        "covariance_type": arguments.covariance_type,
        "rank": arguments.rank,
    }
    given = {name: value for name, value in settings.items() if value is not None}
    return FAMILIES[arguments.family.replace("-", "_")](**given)
