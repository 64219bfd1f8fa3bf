"""Preparation of an AnnData for models of counts over places."""

from lowdim.pp._coordinates import scale_coordinates
from lowdim.pp._deviance import deviance_selection
from lowdim.pp._size_factors import size_factors
from lowdim.pp._split import train_test_split

__all__ = ["deviance_selection", "scale_coordinates", "size_factors", "train_test_split"]
