"""Fields: what a request's body or query may hold, as a table, and the reading of it. Pure.

A field that is missing or null, one of the wrong type and one that breaks a constraint are all
found in one reading. Fields that are not in the table are ignored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast

import msgspec

from bayon.errors import BayonError, Invalid, Problem

LENGTH_MAX: Final = 4_096
"""No text without a limit of its own is longer than this."""

FREE_LENGTH_MAX: Final = 2**30
"""No body is so long."""

Kind = Literal["text", "number", "boolean", "texts", "object"]


class BadBody(Invalid):
    """The request body is not valid JSON."""

    code = "bad_body"


class BadFields(Invalid):
    """Missing required fields."""

    code = "bad_fields"


class BodyTooLarge(BayonError):
    """The request body is too large."""

    code = "body_too_large"


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One field: its name on the wire, what it holds, its constraints (lengths in characters).

    `secret` is what not even a hash is kept of, as a PIN's few digits are found from one at once.
    """

    name: str
    kind: Kind = "text"
    required: bool = True
    length_min: int = 1
    length_max: int = LENGTH_MAX
    one_of: tuple[str, ...] = ()
    fields: tuple["Field", ...] = ()
    doc: str = ""
    secret: bool = False


Values = Mapping[str, object]


def free_text(name: str, *, required: bool = True, doc: str = "") -> Field:
    """Make a text of any length, also none: whether it makes sense is not for the wire to say."""
    return Field(name=name, required=required, length_min=0, length_max=FREE_LENGTH_MAX, doc=doc)


def decode(body: bytes) -> object:
    """Read a JSON body. Errors: `BadBody` when it is no JSON, or nested too deep."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise BadBody from error


def as_object(decoded: object) -> Values:
    """Take a decoded body that must be an object. Errors: `BadBody`."""
    if not isinstance(decoded, dict):
        raise BadBody("The request body must be a JSON object.")
    return cast("Values", decoded)


def read(values: Values, fields: Sequence[Field]) -> dict[str, object]:
    """Read the fields of an object; an optional one that is missing is None.

    Errors: `BadFields` with every failing field; its text is that of a missing one, if any is.
    """
    problems = [problem for field in fields for problem in _problems(field, values, "")]
    if problems:
        missing = any(problem.code == "missing" for problem in problems)
        text = BadFields.__doc__ if missing else " ".join(p.message for p in problems)
        raise BadFields(text, problems=tuple(problems))
    return {field.name: values.get(field.name) for field in fields}


def without_secrets(decoded: object, fields: Sequence[Field]) -> object:
    """Leave out of a decoded body whatever its fields call secret, on all levels."""
    if not isinstance(decoded, dict):
        return decoded
    by_name = {field.name: field for field in fields}
    return {
        name: without_secrets(value, by_name[name].fields) if name in by_name else value
        for name, value in cast("Values", decoded).items()
        if name not in by_name or not by_name[name].secret
    }


def text(values: Values, name: str) -> str:
    """Take a text that was read as required."""
    value = values[name]
    assert isinstance(value, str)
    return value


def text_or_none(values: Values, name: str) -> str | None:
    """Take a text that was read as optional."""
    return None if values[name] is None else text(values, name)


def number(values: Values, name: str) -> int | float:
    """Take a number that was read as required."""
    value = values[name]
    assert isinstance(value, int | float)
    return value


def boolean(values: Values, name: str, *, default: bool) -> bool:
    """Take a boolean that was read as optional."""
    value = values[name]
    assert value is None or isinstance(value, bool)
    return default if value is None else value


def _problems(field: Field, values: Values, path: str) -> list[Problem]:
    value = values.get(field.name)
    pointer = f"{path}/{field.name}"
    if value is None:
        return [_problem(pointer, "is required.", "missing")] if field.required else []
    match field.kind:
        case "text":
            return _text_problems(field, value, pointer)
        case "number":
            fine = isinstance(value, int | float) and not isinstance(value, bool)
            return [] if fine else [_problem(pointer, "must be a number.")]
        case "boolean":
            return [] if isinstance(value, bool) else [_problem(pointer, "must be true or false.")]
        case "texts":
            return _texts_problems(field, value, pointer)
        case "object":
            if not isinstance(value, dict):
                return [_problem(pointer, "must be an object.")]
            inner: Values = cast("Values", value)
            return [problem for f in field.fields for problem in _problems(f, inner, pointer)]


def _text_problems(field: Field, value: object, pointer: str) -> list[Problem]:
    if not isinstance(value, str):
        return [_problem(pointer, "must be a string.")]
    if "\x00" in value:
        return [_problem(pointer, "must not contain a null character.")]
    if field.length_min == field.length_max != len(value):
        return [_problem(pointer, f"must have {field.length_min} characters.")]
    if len(value) < field.length_min:
        return [_problem(pointer, f"must have at least {field.length_min} characters.")]
    if len(value) > field.length_max:
        return [_problem(pointer, f"must have at most {field.length_max} characters.")]
    if field.one_of and value not in field.one_of:
        return [_problem(pointer, f"must be one of {', '.join(field.one_of)}.")]
    return []


def _texts_problems(field: Field, value: object, pointer: str) -> list[Problem]:
    if not isinstance(value, list):
        return [_problem(pointer, "must be an array.")]
    values = cast("list[object]", value)
    if len(values) > field.length_max:
        return [_problem(pointer, f"must have at most {field.length_max} members.")]
    if not all(isinstance(v, str) and (not field.one_of or v in field.one_of) for v in values):
        allowed = f" out of {', '.join(field.one_of)}" if field.one_of else ""
        return [_problem(pointer, f"must hold strings{allowed}.")]
    return []


def _problem(pointer: str, says: str, code: str = "invalid") -> Problem:
    name = pointer[1:].replace("/", ".")
    return Problem(pointer=pointer, message=f"{name} {says}", code=code)
