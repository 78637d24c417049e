"""Fixtures: `town`, a sandbox a file's tests share; `opened`, one of the test's own."""

from sandboxes import opened, town

__all__ = ["opened", "town"]
