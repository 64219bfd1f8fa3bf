"""Progress bars are silent unless asked for, and never change what is iterated over."""

import pytest

from lowdim._progress import progress


def test_silent_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(range(3), description="fitting")) == [0, 1, 2]
    with progress(3) as bar:
        bar.update()
        bar.set_postfix_str("objective -1.0")
    assert capsys.readouterr() == ("", "")


def test_shown_on_stderr_when_enabled(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(iter("ab"), description="fitting", enabled=True)) == ["a", "b"]
    out, err = capsys.readouterr()
    assert out == ""
    assert "fitting" in err
    assert "2it" in err


def test_a_total_is_moved_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(4, description="search", enabled=True) as bar:
        bar.update(4)
    assert "4/4" in capsys.readouterr().err
