"""What can keep the demo from running; the command turns each into an exit code."""

from __future__ import annotations


class DemoError(Exception):
    """Something on this machine is in the way: a port, a file, a child that did not start."""


class SiteError(Exception):
    """The site is not valid, or is not one on which the demo's steps make sense."""
