"""Embeddings: layouts of rows in few dimensions that keep neighbours together."""
