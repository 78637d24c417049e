"""What may be said aloud: structured logs by an allow-list, and `Secret`, which says nothing.

A field that is not on the list is dropped, whoever logs it; an exception is logged by its class
and the places it passed, never by its text, which may carry a request's content.
"""

import logging
import os
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, Final, NoReturn, cast

import structlog

ALLOWED: Final = frozenset(
    {
        *("event", "level", "timestamp", "request_id", "method", "path", "status", "duration_ms"),
        *("error", "trace", "attempt", "seconds", "host", "port", "pid", "migration", "worker"),
        # of the card network: a link's name, an MTI, a field's number, truths
        *("link", "mti", "field", "on", "allowed"),
        "reason",  # why PostgreSQL does not start: files and settings, never values
    }
)
"""Every field a log line may have. Add a field here only if no caller's content can get into it."""


class Secret:
    """A value that must not be seen: no str, no repr, no JSON, no pickle; `reveal` alone tells."""

    __slots__: tuple[str, ...] = ("_value",)

    def __init__(self, value: str) -> None:
        self._value: str = value

    def reveal(self) -> str:
        """Tell the value, to the one place that needs it."""
        return self._value

    def __str__(self) -> str:
        return "***"

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("A Secret cannot be pickled.")


def configure(*, json: bool, level: str = "INFO") -> None:
    """Set up logging for the whole process: one line an event, on standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _where_it_broke,
        _only_allowed,
    ]
    render = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(colors=_colourful())
    )
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_first_line, *shared],
            use_get_message=False,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    logging.basicConfig(handlers=[handler], level="WARNING", force=True)


def _colourful() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")


def _first_line(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Keep of a library's message what it says always: no arguments, no reprs on further lines."""
    event["event"] = str(event["event"]).strip().partition("\n")[0]
    return event


def _only_allowed(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    own = {"_record", "_from_structlog"}
    for name in [name for name in event if name not in ALLOWED and name not in own]:
        del event[name]
    return event


def _where_it_broke(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    given: object = event.pop("exc_info", None)
    given = cast("tuple[object, ...]", given)[1] if isinstance(given, tuple) else given
    raised = given if isinstance(given, BaseException) else sys.exc_info()[1]
    if given and raised is not None:
        event["error"] = type(raised).__name__
        frames = traceback.extract_tb(raised.__traceback__)
        event["trace"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]]
    return event
