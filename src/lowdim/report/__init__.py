"""One self-contained HTML file about a fit: for people, offline, to keep and to print."""

from lowdim.report._write import write

__all__ = ["write"]
