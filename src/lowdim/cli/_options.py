"""Options that several commands share."""

from __future__ import annotations

from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from importlib import import_module

from lowdim.cli._values import natural_number

FILE = "the .h5ad file or .zarr store; it is not changed"
"""What help says of what is read."""


def add_files(command: ArgumentParser) -> None:
    """What is read, and what is written."""
    command.add_argument("file", metavar="FILE", help=FILE)
    command.add_argument(
        "--output",
        "-o",
        required=True,
        metavar="OUT",
        help="a .h5ad file or a .zarr store to write, or a folder for the result, of the kind of "
        "the file, and report.html",
    )
    add_backed(command)


def add_backed(command: ArgumentParser) -> None:
    """Where the rows are while a command works on them."""
    command.add_argument(
        "--backed",
        choices=("auto", "always", "never"),
        default="auto",
        help="leave X and layers in the file and read them in blocks: auto does where they would "
        "take more than 40%% of the free memory (default: auto)",
    )


def add_data(command: ArgumentParser, key: str) -> None:
    """Which matrix of the file, what to compare with, and how to call the result."""
    add_matrix(command)
    add_results(command, key)


def add_matrix(command: ArgumentParser) -> None:
    """Which matrix of the file."""
    matrix = command.add_mutually_exclusive_group()
    matrix.add_argument("--layer", metavar="KEY", help="fit this layer (default: X)")
    matrix.add_argument("--use-rep", metavar="KEY", help="fit this key of obsm, such as X_pca")


def add_results(command: ArgumentParser, key: str | None, *, labels: bool = True) -> None:
    """What to compare with, how to call the result, the seed, and whether a report is written."""
    if labels:
        command.add_argument("--labels", metavar="COLUMN", help="column of obs to compare with")
    command.add_argument("--key", default=key, help="name of the result in the file")
    command.add_argument("--random-state", type=natural_number, default=0, metavar="SEED")
    command.add_argument(
        "--report",
        action=BooleanOptionalAction,
        default=None,
        help="write a report beside the result (by default for a folder)",
    )


def add_checkpoint(command: ArgumentParser) -> None:
    """Where a long fit is kept."""
    command.add_argument(
        "--checkpoint",
        metavar="PATH",
        help="keep the fit in this file; the same command goes on from there",
    )


def runs(command: ArgumentParser, name: str) -> ArgumentParser:
    """Let a command run `lowdim.cli._NAME.run`, which is not loaded before."""

    def run(arguments: Namespace) -> None:
        import_module(f"lowdim.cli._{name}").run(arguments)

    command.set_defaults(run=run)
    return command
