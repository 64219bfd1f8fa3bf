"""``lowdim subspaces``: fit a mixture of subspaces to a file."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowdim.cli import _h5ad
from lowdim.cli._output import print_result, print_step
from lowdim.cli._usage import UsageError

if TYPE_CHECKING:
    from anndata import AnnData


def run(arguments: Namespace) -> None:
    """Read, fit, write and say what was found."""
    result, report = _targets(arguments)
    dims, n_components = _model(arguments)
    adata = _h5ad.read(arguments.file)
    if arguments.labels is not None and arguments.labels not in adata.obs:
        raise ValueError(
            f"--labels {arguments.labels} is not a column of obs, which has "
            f"{sorted(adata.obs.columns)}."
        )
    start = time.perf_counter()
    _fit(adata, arguments, dims, n_components)
    seconds = time.perf_counter() - start

    from lowdim.cli._facts import fit_facts, fit_lines

    facts = fit_facts(adata, arguments.key, arguments.labels)
    print_step(f"writing {result}", quiet=arguments.quiet)
    _h5ad.write(adata, result)
    if report is not None:
        print_step(f"writing {report}", quiet=arguments.quiet)
        _write_report(adata, report, arguments)
    lines = [*fit_lines(facts), ("seconds", f"{seconds:.1f}"), ("result", str(result))]
    if report is not None:
        lines.append(("report", str(report)))
    written = {"result": str(result), "report": None if report is None else str(report)}
    facts = {"input": arguments.file, **facts, "seconds": round(seconds, 3), **written}
    print_result(facts, lines, as_json=arguments.json)


def _targets(arguments: Namespace) -> tuple[Path, Path | None]:
    """Where the result goes and, if one is wanted, the report."""
    source = _h5ad.check_input(arguments.file)
    result, in_folder = _h5ad.result_path(arguments.output)
    wanted = in_folder if arguments.report is None else arguments.report
    report = None
    if wanted:
        report = result.with_name("report.html") if in_folder else result.with_suffix(".html")
    for path in (result, report):
        if path is not None:
            _h5ad.check_output(path, source)
    return result, report


def _model(arguments: Namespace) -> tuple[Any, int | None]:
    """The dimensions, "auto" for a search, and the number of components."""
    dims, n_components = arguments.dims, arguments.n_components
    if arguments.auto or (dims is None and n_components is None):
        return "auto", n_components
    if dims is None:
        return 1, n_components
    if n_components is None or len(dims) == n_components:
        return dims, len(dims)
    if len(dims) == 1:
        return dims[0], n_components
    raise UsageError(
        f"--dims has {len(dims)} dimensions but --n-components is {n_components}; leave one out."
    )


def _fit(adata: AnnData, arguments: Namespace, dims: Any, n_components: int | None) -> None:
    """Fit or search; the results go into `adata`."""
    from lowdim import tl
    from lowdim._keys import SubspaceKeys

    verbose = int(not arguments.quiet)
    if isinstance(dims, str):
        tl.select_subspaces(
            adata,
            n_components,
            layer=arguments.layer,
            use_rep=arguments.use_rep,
            key_added=arguments.key,
            n_init=arguments.n_init,
            random_state=arguments.random_state,
            verbose=verbose,
        )
        return
    tl.subspaces(
        adata,
        n_components or 1,
        dims,
        layer=arguments.layer,
        use_rep=arguments.use_rep,
        key_added=arguments.key,
        n_init=arguments.n_init,
        random_state=arguments.random_state,
        verbose=verbose,
    )
    # The table of an earlier search would be taken for that of this fit.
    adata.uns.pop(SubspaceKeys(arguments.key).selection, None)


def _write_report(adata: AnnData, path: Path, arguments: Namespace) -> None:
    from lowdim import report

    title = f"Subspaces in {Path(arguments.file).name}"
    report.write(adata, path, key=arguments.key, labels=arguments.labels, title=title)
