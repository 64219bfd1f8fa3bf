"""The commands for spatial factors and their options."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from lowdim.cli._options import FILE, add_backed, add_checkpoint, add_files, add_results, runs
from lowdim.cli._values import natural_number, positive_int, positive_number


def add_spatial(commands: Any) -> ArgumentParser:
    """``lowdim spatial``."""
    command: ArgumentParser = commands.add_parser(
        "spatial",
        help="fit factors that vary smoothly over space to a file",
        description="Fit spatial factors to the counts of a file whose rows have coordinates. A "
        "folder gets tables of factors and genes as well.",
    )
    add_files(command)
    command.add_argument(
        "--n-factors", "-n", type=positive_int, default=10, metavar="L", help="default: 10"
    )
    command.add_argument(
        "--n-spatial",
        type=positive_int,
        metavar="T",
        help="how many of them are spatial; the rest is not (model nsfh)",
    )
    command.add_argument(
        "--model",
        choices=("nsf", "nsfh", "rsf", "pnmf", "fa", "mefisto"),
        help="default: nsf, or nsfh with --n-spatial",
    )
    command.add_argument(
        "--likelihood",
        choices=("poisson", "negative_binomial", "gaussian"),
        help="of the noise (default: that of the model)",
    )
    command.add_argument(
        "--layer", metavar="KEY", help="fit this layer (default: counts if there is one, else X)"
    )
    command.add_argument(
        "--spatial-key", default="spatial", metavar="KEY", help="of obsm (default: spatial)"
    )
    command.add_argument("--sample-key", metavar="COLUMN", help="column of obs that tells slides")
    command.add_argument(
        "--top-genes",
        type=positive_int,
        metavar="N",
        help="keep only the N genes of largest deviance from a constant rate",
    )
    command.add_argument(
        "--size-factors",
        choices=("none", "mean", "median", "median_ratio"),
        default="none",
        help="how deeply rows were counted: totals over their mean or median (default: none)",
    )
    command.add_argument(
        "--length-scale", type=positive_number, metavar="X", help="in the units of the coordinates"
    )
    command.add_argument(
        "--inducing", type=positive_int, metavar="M", help="places through which factors are known"
    )
    command.add_argument(
        "--gene-sets", metavar="GMT", help="test the sets in this file for each factor"
    )
    add_results(command, "spatial_factors")
    add_checkpoint(command)
    return runs(command, "spatial")


def add_grid(commands: Any) -> ArgumentParser:
    """``lowdim grid``."""
    command: ArgumentParser = commands.add_parser(
        "grid",
        help="fit many configurations of spatial factors to a file, into one table",
        description="Fit every configuration in a JSON file to some rows, judge it by the others, "
        "and write fit, sparsity and time to one CSV table. A configuration is an object such as "
        '{"model": "nsf", "n_factors": 10}; pass a list of them, or one object whose entries are '
        "lists, for all combinations. Fits that the table has already are not done again.",
    )
    command.add_argument("file", metavar="FILE", help=FILE)
    command.add_argument("configurations", metavar="JSON", help="a file with the configurations")
    command.add_argument("--output", "-o", required=True, metavar="CSV", help="the table to write")
    add_backed(command)
    command.add_argument(
        "--layer", metavar="KEY", help="fit this layer (default: counts if there is one, else X)"
    )
    command.add_argument(
        "--spatial-key", default="spatial", metavar="KEY", help="of obsm (default: spatial)"
    )
    command.add_argument("--sample-key", metavar="COLUMN", help="column of obs that tells slides")
    held = command.add_mutually_exclusive_group()
    held.add_argument(
        "--train-key", metavar="COLUMN", help="boolean column of obs: the rows to fit"
    )
    held.add_argument(
        "--held-out",
        type=positive_number,
        default=0.05,
        metavar="X",
        help="share of the places held out, at random (default: 0.05)",
    )
    command.add_argument(
        "--random-state",
        type=natural_number,
        default=0,
        metavar="SEED",
        help="of the rows held out, and of fits that name none (default: 0)",
    )
    return runs(command, "grid")
