"""What the README and the examples tell people to type runs as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
BLOCKS = FENCE.findall((ROOT / "README.md").read_text(encoding="utf-8"))
SNIPPETS = [body for language, body in BLOCKS if language == "python"]
COMMANDS = [
    line.split("#")[0].split()
    for language, body in BLOCKS
    if language == "sh"
    for line in body.splitlines()
    if line.startswith("lowdim ")
]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def run_python(arguments: list[str], folder: Path) -> str:
    """Run Python in a folder of its own, without a screen, and return what it printed."""
    paths = [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "MPLBACKEND": "agg", "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_readme_has_snippets_and_commands() -> None:
    assert len(SNIPPETS) >= 2
    assert len(COMMANDS) >= 4


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_snippets_run(snippet: str, tmp_path: Path) -> None:
    if "scanpy" in snippet or "pbmc68k" in snippet:
        pytest.importorskip("scanpy")
    run_python(["-c", snippet], tmp_path)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_commands_parse(words: list[str]) -> None:
    from lowdim.cli._parser import build_parser

    build_parser().parse_args(words[1:])  # exits if an option or command does not exist


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_run(path: Path, tmp_path: Path) -> None:
    if "pbmc68k" in path.read_text(encoding="utf-8"):
        pytest.importorskip("scanpy")
    assert run_python([str(path)], tmp_path)
    assert list(tmp_path.glob("*.png"))
