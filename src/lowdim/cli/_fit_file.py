"""From a file with data to a file with a fit and a report: what all fitting commands share."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from lowdim._files import replacing
from lowdim._memory import free_memory
from lowdim.cli._anndata_file import stored_bytes
from lowdim.cli._data_file import DataFile
from lowdim.cli._output import print_result, print_step
from lowdim.cli._paths import check_input, check_output, result_path

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from anndata import AnnData
    from matplotlib.figure import Figure


Facts = dict[str, Any]
Lines = list[tuple[str, str]]


@dataclass(frozen=True)
class Whole:
    """Who needs all rows of a matrix in memory.

    Attributes
    ----------
    who
        As in "t-SNE".
    matrix
        As in "X".
    size
        Bytes that it takes in memory.
    remedy
        What does without, as a sentence.
    """

    who: str
    matrix: str
    size: int
    remedy: str

    @classmethod
    def of(
        cls, adata: AnnData, layer: str | None, who: str, remedy: str, *, dense: bool = False
    ) -> Whole | None:
        """Of `X` or a layer, which has stayed in its file; `dense` makes it an array of float64.

        None where there is no such matrix, as the fit will say.
        """
        from lowdim.report._data import matrix_name

        matrix: Any = adata.X if layer is None else adata.layers.get(layer)
        if matrix is None:
            return None
        stored = stored_bytes(getattr(matrix, "group", matrix))
        size = 8 * adata.n_obs * adata.n_vars if dense else stored
        return cls(who, matrix_name({"layer": layer}), size, remedy)

    def told(self) -> str:
        """What it takes, and what there is."""
        free = free_memory() or 0
        return (
            f"{self.who} needs all rows of {self.matrix} in memory: at least "
            f"{self.size / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free. {self.remedy}"
        )


def fit_file(
    arguments: Namespace,
    fit: Callable[[AnnData], None],
    what: str,
    *,
    select: Callable[[AnnData], np.ndarray] | None = None,
    whole: Callable[[AnnData], Whole | None] | None = None,
    describe: Callable[[AnnData], tuple[Facts, Lines]] | None = None,
    tables: Callable[[AnnData], dict[str, pd.DataFrame]] | None = None,
    pictures: Callable[[AnnData], dict[str, Figure]] | None = None,
) -> None:
    """Read, fit, write and say what was found.

    Parameters
    ----------
    arguments
        With `file`, `output`, `backed`, `report`, `labels`, `key`, `quiet` and `json`, and what it
        has of `layer` and `use_rep`.
    fit
        Puts results into the AnnData.
    what
        Is found, for the title of the report.
    select
        Which genes are kept, (D,) booleans; by default all.
    whole
        What needs all rows of its matrix in memory, if anything does; by default they are read
        block by block.
    describe
        What was found, for programs and for people; by default that of a mixture.
    tables
        What else goes to a folder, as NAME.csv.
    pictures
        What else goes to a folder, as NAME.png.
    """
    result, report, in_folder = _targets(arguments)
    use_rep = getattr(arguments, "use_rep", None)
    data = DataFile.open(arguments.file, use_rep=use_rep, backed=arguments.backed)
    _check_labels(data.adata, arguments.labels)
    needed = None if data.left_in is None or whole is None else whole(data.adata)
    print_step(data.told if needed is None else needed.told(), quiet=arguments.quiet)
    with ExitStack() as stack:
        if select is not None:
            kept = select(data.adata)
            folder = TemporaryDirectory(
                prefix=".lowdim-", dir=result.parent, ignore_cleanup_errors=True
            )
            data = data.of_genes(kept, Path(stack.enter_context(folder)))
        adata = data.adata
        start = time.perf_counter()
        fit(adata)
        seconds = time.perf_counter() - start
        facts, lines = (describe or _of_mixture(arguments))(adata)
        print_step(f"writing {result}", quiet=arguments.quiet)
        data.write(result)
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


def _check_labels(adata: AnnData, labels: str | None) -> None:
    if labels is not None and labels not in adata.obs:
        raise ValueError(
            f"--labels {labels} is not a column of obs, which has {sorted(adata.obs.columns)}."
        )


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
    source = check_input(arguments.file)
    result, in_folder = result_path(arguments.output, source)
    wanted = in_folder if arguments.report is None else arguments.report
    report = None
    if wanted:
        report = result.with_name("report.html") if in_folder else result.with_suffix(".html")
    for path in (result, report):
        if path is not None:
            check_output(path, source)
    return result, report, in_folder
