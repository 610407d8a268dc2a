"""Counters, metrics, the admin listener, logs."""
