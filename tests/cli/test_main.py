"""Exit codes, messages and streams that all commands share."""

import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import lowdim
from lowdim.cli import _info, main


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"lowdim {lowdim.__version__}\n"


@pytest.mark.parametrize("command", [[], ["demo"], ["subspaces"], ["report"], ["info"]])
def test_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--help"]) == 0
    assert "usage: lowdim" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["subspaces", "a.h5ad"],  # no output
        ["subspaces", "a.h5ad", "-o", "out", "--dims", "2,x"],
        ["subspaces", "a.h5ad", "-o", "out", "--dims", "2,-1"],
        ["subspaces", "a.h5ad", "-o", "out", "-k", "0"],
        ["subspaces", "a.h5ad", "-o", "out", "--dims", "2", "--auto"],
        ["subspaces", "a.h5ad", "-o", "out", "--layer", "a", "--use-rep", "b"],
        ["report", "a.h5ad"],
        ["info", "--nonsense"],
    ],
)
def test_usage_errors(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert "error:" in streams.err


def raises(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def installation() -> None:
        raise error

    monkeypatch.setattr(_info, "installation", installation)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("two\nlines"), "lowdim: error: two lines"),
        (KeyError("gene"), "lowdim: error: KeyError: 'gene' (--debug shows where)"),
        (OSError(28, "No space left on device", "out"), "No space left on device: out"),
        (FileNotFoundError("There is no file."), "lowdim: error: There is no file."),
    ],
)
def test_failures_are_one_line(
    error: Exception,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    raises(monkeypatch, error)
    assert main(["info"]) == 1
    streams = capsys.readouterr()
    assert streams.out == ""
    assert line in streams.err
    assert streams.err.count("\n") == 1


def test_debug_shows_where(monkeypatch: pytest.MonkeyPatch) -> None:
    raises(monkeypatch, KeyError("gene"))
    with pytest.raises(KeyError):
        main(["info", "--debug"])


def test_interrupts_have_their_own_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raises(monkeypatch, KeyboardInterrupt())
    assert main(["info"]) == 130
    assert capsys.readouterr().err == "lowdim: interrupted\n"


def test_messages_are_lines_and_leave_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def installation() -> dict[str, object]:
        warnings.warn_explicit("not converged", UserWarning, "x.py", 1, module="lowdim.tl")
        warnings.warn_explicit("to the caller", UserWarning, "lowdim", 1, module="__main__")
        warnings.warn_explicit("of no concern", FutureWarning, "y.py", 1, module="anndata")
        logging.getLogger("lowdim").warning("looks like counts")
        return {"versions": {}, "devices": []}

    monkeypatch.setattr(_info, "installation", installation)
    handlers = list(logging.getLogger("lowdim").handlers)
    show = warnings.showwarning
    assert main(["info"]) == 0
    lines = capsys.readouterr().err.splitlines()
    told = ["warning: not converged", "warning: to the caller", "WARNING: looks like counts"]
    assert lines == [f"lowdim: {line}" for line in told]
    assert logging.getLogger("lowdim").handlers == handlers
    assert warnings.showwarning is show


def test_as_a_module() -> None:
    source = str(Path(lowdim.__file__).parents[1])
    result = subprocess.run(
        [sys.executable, "-m", "lowdim", "info", "nothing.h5ad"],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == "lowdim: error: There is no file 'nothing.h5ad'.\n"


def test_the_parser_loads_nothing_heavy() -> None:
    source = str(Path(lowdim.__file__).parents[1])
    code = "import sys, lowdim.cli; lowdim.cli.main(['--version']); print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.split(".")[0] for name in result.stdout.split()}
    assert loaded & {"anndata", "matplotlib", "numpy", "pandas", "sklearn", "torch"} == set()
