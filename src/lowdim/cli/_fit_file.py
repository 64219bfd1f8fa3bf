"""From a file with data to a file with a fit and a report: what all fitting commands share."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowdim._files import replacing
from lowdim.cli import _h5ad
from lowdim.cli._output import print_result, print_step

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.figure import Figure


Facts = dict[str, Any]
Lines = list[tuple[str, str]]


def fit_file(
    arguments: Namespace,
    fit: Callable[[AnnData], AnnData | None],
    what: str,
    *,
    describe: Callable[[AnnData], tuple[Facts, Lines]] | None = None,
    tables: Callable[[AnnData], dict[str, pd.DataFrame]] | None = None,
    pictures: Callable[[AnnData], dict[str, Figure]] | None = None,
    by_blocks: bool = False,
) -> None:
    """Read, fit, write and say what was found.

    Parameters
    ----------
    arguments
        With `file`, `output`, `report`, `labels`, `key`, `quiet` and `json`.
    fit
        Puts results into the AnnData, or returns another that has them.
    what
        Is found, for the title of the report.
    describe
        What was found, for programs and for people; by default that of a mixture.
    tables
        What else goes to a folder, as NAME.csv.
    pictures
        What else goes to a folder, as NAME.png.
    by_blocks
        Whether the fit reads its matrix block by block: a large one then stays in the file.
    """
    result, report, in_folder = _targets(arguments)
    on_disk = by_blocks and _h5ad.is_large(arguments.file)
    if on_disk:
        size = _h5ad.matrix_bytes(arguments.file) / 1e9
        print_step(
            f"reading {arguments.file} in blocks: its matrices ({size:.1f} GB) take more than "
            f"{_h5ad.IN_MEMORY_SHARE:.0%} of the free memory",
            quiet=arguments.quiet,
        )
    adata = _h5ad.open_on_disk(arguments.file) if on_disk else _h5ad.read(arguments.file)
    if arguments.labels is not None and arguments.labels not in adata.obs:
        raise ValueError(
            f"--labels {arguments.labels} is not a column of obs, which has "
            f"{sorted(adata.obs.columns)}."
        )
    start = time.perf_counter()
    fitted = fit(adata)
    adata = adata if fitted is None else fitted
    seconds = time.perf_counter() - start
    facts, lines = (describe or _of_mixture(arguments))(adata)
    print_step(f"writing {result}", quiet=arguments.quiet)
    if on_disk:
        _h5ad.write_beside(adata, result, arguments.file)
    else:
        _h5ad.write(adata, result)
    lines += [("seconds", f"{seconds:.1f}"), ("result", str(result))]
    if tables is not None and in_folder:
        files = _write_tables(tables(adata), result.parent)
        facts |= {"tables": files}
        lines.append(("tables", ", ".join(files)))
    if pictures is not None and in_folder:
        files = _write_pictures(pictures(adata), result.parent)
        facts |= {"pictures": files}
        lines.append(("pictures", ", ".join(files)))
    if report is not None:
        from lowdim import report as reports

        print_step(f"writing {report}", quiet=arguments.quiet)
        title = f"{what} in {Path(arguments.file).name}"
        reports.write(adata, report, key=arguments.key, labels=arguments.labels, title=title)
        lines.append(("report", str(report)))
    written = {"result": str(result), "report": None if report is None else str(report)}
    facts = {"input": arguments.file, **facts, "seconds": round(seconds, 3), **written}
    print_result(facts, lines, as_json=arguments.json)


def _of_mixture(arguments: Namespace) -> Callable[[AnnData], tuple[Facts, Lines]]:
    def describe(adata: AnnData) -> tuple[Facts, Lines]:
        from lowdim.cli._facts import fit_facts, fit_lines

        facts = fit_facts(adata, arguments.key, arguments.labels)
        return facts, fit_lines(facts)

    return describe


def _write_tables(tables: dict[str, pd.DataFrame], folder: Path) -> list[str]:
    """Write each as a .csv file, with its index where that has a name."""
    files = []
    for name, table in tables.items():
        path = folder / f"{name}.csv"
        with replacing(path) as temporary:
            table.to_csv(temporary, index=table.index.name is not None)
        files.append(str(path))
    return files


def _write_pictures(pictures: dict[str, Figure], folder: Path) -> list[str]:
    """Write each as a .png file."""
    files = []
    for name, figure in pictures.items():
        path = folder / f"{name}.png"
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=150, bbox_inches="tight")
        files.append(str(path))
    return files


def _targets(arguments: Namespace) -> tuple[Path, Path | None, bool]:
    """Where the result goes and, if one is wanted, the report; and whether a folder was named."""
    source = _h5ad.check_input(arguments.file)
    result, in_folder = _h5ad.result_path(arguments.output)
    wanted = in_folder if arguments.report is None else arguments.report
    report = None
    if wanted:
        report = result.with_name("report.html") if in_folder else result.with_suffix(".html")
    for path in (result, report):
        if path is not None:
            _h5ad.check_output(path, source)
    return result, report, in_folder
