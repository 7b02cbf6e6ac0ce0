"""Moorline: service connections that outlive address changes."""

__version__ = "0.1.0"
