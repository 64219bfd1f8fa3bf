"""AnnData keys are those the documentation promises, without clashes."""

import pytest

from lowdim._keys import SubspaceKeys


def test_keys_follow_key_added() -> None:
    keys = SubspaceKeys("axes")
    assert {keys.labels, keys.coordinates, keys.loadings, keys.record} == {"axes"}
    assert keys.probabilities == "axes_proba"
    assert keys.means == "axes_means"
    assert keys.selection == "axes_selection"
    assert SubspaceKeys().record == "subspaces"


def test_keys_of_one_container_differ() -> None:
    keys = SubspaceKeys()
    assert keys.coordinates != keys.probabilities  # obsm
    assert keys.loadings != keys.means  # varm
    assert keys.record != keys.selection  # uns


@pytest.mark.parametrize("key", ["", "a/b"])
def test_keys_that_cannot_be_stored_are_errors(key: str) -> None:
    with pytest.raises(ValueError, match="key_added="):
        SubspaceKeys(key)


def test_a_key_of_another_type_is_an_error() -> None:
    with pytest.raises(TypeError, match="key_added must be a string, got int"):
        SubspaceKeys(3)
