"""Compiled functions are kept on disk, but never longer than what they are made from."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowdim._compile import _STAMP, fingerprint
from lowdim.mixture._subspace.sketched import accumulate

FILES = {
    "_compile.py": "import numba\n",
    "kernel.py": "from lowdim._compile import compiled\nfrom lowdim.inner.sizes import SIZE\n",
    "inner/other.py": "    from lowdim._compile import compiled_fast\n",
    "inner/sizes.py": "SIZE = 3\n",
    "plot.py": "from lowdim.kernel import something\n",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_what_a_compiled_function_calls_or_imports_counts(package: Path, name: str) -> None:
    before = fingerprint(package)
    assert fingerprint(package) == before
    with (package / name).open("a") as file:
        file.write("# changed\n")
    assert (fingerprint(package) == before) == (name == "plot.py")


def test_compiled_functions_are_stamped_with_it() -> None:
    assert accumulate._cache._cache_file._source_stamp == _STAMP
