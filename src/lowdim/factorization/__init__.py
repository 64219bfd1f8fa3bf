"""Factors of counts or values, with and without coordinates."""
