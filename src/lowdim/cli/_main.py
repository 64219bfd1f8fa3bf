"""Run a command: its output, its errors and its exit code."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from lowdim.cli._parser import build_parser
from lowdim.cli._usage import UsageError

_FAILURE = 1
_USAGE = 2
_INTERRUPTED = 130  # 128 + SIGINT, as shells count


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv
        The words after ``lowdim``; by default those of this process.

    Returns
    -------
    0 if all went well, 1 if it failed, 2 for arguments that make no sense, 130 after Ctrl-C.
    """
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit as stop:  # argparse has said what there is to say
        return int(stop.code or 0)
    with _messages(debug=arguments.debug):
        return _run(arguments)


def _run(arguments: Namespace) -> int:
    """Run the chosen command, and turn what it raises into one line."""
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("lowdim: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader, such as head, has had enough. Python must not flush into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILURE
    except UsageError as error:
        print(f"lowdim: error: {error}", file=sys.stderr)
        return _USAGE
    except Exception as error:  # whatever it is, users get a line and not a traceback
        if arguments.debug:
            raise
        print(f"lowdim: error: {_one_line(error)}", file=sys.stderr)
        if isinstance(error, MemoryError) and getattr(arguments, "backed", "always") != "always":
            print("lowdim: --backed always leaves large matrices in their file", file=sys.stderr)
        return _FAILURE
    return 0


def _one_line(error: Exception) -> str:
    """What an error says, on one line; its kind too where the text alone says little."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    if isinstance(error, (ValueError, TypeError, ImportError, RuntimeError, OSError)) and text:
        return text
    return f"{type(error).__name__}: {text} (--debug shows where)"


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning as a line, without the place in the code that gave it."""
    print(f"lowdim: warning: {message}", file=file or sys.stderr)


@contextmanager
def _messages(*, debug: bool) -> Iterator[None]:
    """Warnings and log messages of lowdim as lines on stderr; those of others only to debug."""
    logger = logging.getLogger("lowdim")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("lowdim: %(levelname)s: %(message)s"))
    logger.addHandler(handler)
    with warnings.catch_warnings():
        if not debug:
            warnings.simplefilter("ignore")
            warnings.filterwarnings("always", module=r"lowdim(\.|$)")
            # Those that point at the caller's line: of the script, or of python -m.
            warnings.filterwarnings("always", module=r"(__main__|runpy)$")
            warnings.showwarning = _show_warning
        try:
            yield
        finally:
            logger.removeHandler(handler)
