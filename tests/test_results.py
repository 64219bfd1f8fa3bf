"""Every reason to stop has words for people."""

import pytest

from lowdim._results import StopReason


@pytest.mark.parametrize("reason", StopReason)
def test_every_reason_reads_as_a_sentence(reason: StopReason) -> None:
    assert reason.sentence[0].isupper()
    assert reason.sentence.endswith(".")
    assert StopReason(str(reason)) is reason
