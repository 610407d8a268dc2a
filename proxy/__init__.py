"""Bulkhead: a gateway between a plant's machines and everything else, deciding message by message."""

__version__ = "0.1.0"
