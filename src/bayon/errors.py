"""What can go wrong, as one tree. Every room raises these; every door owns one table from them.

    BayonError
    ├─ Invalid        the request is malformed; carries every failing field
    ├─ Denied         who are you, or: you may not
    ├─ NotFound       there is no such thing, or it is not yours
    ├─ Conflict       the state of things forbids it
    └─ Unavailable    something we depend on is away; try again

Two voices: `message` is for the caller, `context` for our own log and is never rendered.
A decline is not here: it is a value, because it must be recorded. A bug is an assertion.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One failing field: `pointer` is a JSON pointer into the request."""

    pointer: str
    message: str
    code: str = "invalid"


class BayonError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str | None = None, **context: object) -> None:
        self.message: str = message or (type(self).__doc__ or "").splitlines()[0]
        self.context: dict[str, object] = context
        super().__init__(self.message)


class Invalid(BayonError):
    """The request is not valid."""

    code = "invalid"

    def __init__(
        self, message: str | None = None, *, problems: tuple[Problem, ...] = (), **context: object
    ) -> None:
        super().__init__(message or (problems[0].message if problems else None), **context)
        self.problems: tuple[Problem, ...] = problems


class Denied(BayonError):
    """You may not do this."""

    code = "denied"


class NotFound(BayonError):
    """There is no such thing."""

    code = "not_found"


class Conflict(BayonError):
    """The state of things forbids this."""

    code = "conflict"


class Unavailable(BayonError):
    """Something we depend on is away. Please try again."""

    code = "unavailable"
