"""``lowdim report``: the HTML report of a result."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from lowdim.cli import _h5ad
from lowdim.cli._data_file import DataFile
from lowdim.cli._output import print_result, print_step


def run(arguments: Namespace) -> None:
    """Read the result and write its report."""
    output = Path(arguments.output)
    _h5ad.check_output(output, _h5ad.check_input(arguments.file))
    adata = DataFile.open(arguments.file).adata
    print_step(f"writing {output}", quiet=arguments.quiet)

    from lowdim import report

    report.write(adata, output, key=arguments.key, labels=arguments.labels, title=arguments.title)
    facts = {"input": arguments.file, "key": arguments.key, "report": str(output)}
    print_result(facts, [("report", str(output))], as_json=arguments.json)
