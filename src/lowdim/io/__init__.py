"""Files in and out."""

from lowdim.io.model import load

__all__ = ["load"]
