"""Tests about the repository itself: locks, tracked files, ``run``, the wheel, deployment files."""
