"""The descent of PaCMAP."""
