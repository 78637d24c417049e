"""Fixtures: `town`, a sandbox a file's tests share; `opened`, one of the test's own; `dev`, run."""

from running import dev
from sandboxes import opened, town

__all__ = ["dev", "opened", "town"]
