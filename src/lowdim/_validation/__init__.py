"""Checks of what users pass in: one place, so that every error names the argument and the remedy.

Messages about arrays keep the wording of scikit-learn, which users know and its own checks expect.
"""

from lowdim._validation.matrices import check_matrix, check_real_dtype, check_shape
from lowdim._validation.parameters import (
    check_in,
    check_interval,
    check_positive,
    check_positive_int,
)
from lowdim._validation.values import check_source
from lowdim._validation.weights import check_sample_weight

__all__ = [
    "check_in",
    "check_interval",
    "check_matrix",
    "check_positive",
    "check_positive_int",
    "check_real_dtype",
    "check_sample_weight",
    "check_shape",
    "check_source",
]
