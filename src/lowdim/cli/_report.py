"""``lowdim report``: the HTML report of a result."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from lowdim.cli._data_file import DataFile
from lowdim.cli._output import print_result, print_step
from lowdim.cli._paths import check_input, check_output


def run(arguments: Namespace) -> None:
    """Read the result and write its report."""
    output = Path(arguments.output)
    check_output(output, check_input(arguments.file))
    data = DataFile.open(arguments.file, backed=arguments.backed)
    print_step(data.told, quiet=arguments.quiet)
    print_step(f"writing {output}", quiet=arguments.quiet)

    from lowdim import report

    wanted = {"key": arguments.key, "labels": arguments.labels, "title": arguments.title}
    report.write(data.adata, output, **wanted)
    facts = {"input": arguments.file, "key": arguments.key, "report": str(output)}
    print_result(facts, [("report", str(output))], as_json=arguments.json)
