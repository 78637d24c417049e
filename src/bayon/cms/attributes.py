"""Attributes: what each may hold, and the reading of a request's, all that fail at once. Pure.

A check reads one value and returns it as the rooms want it, or raises `ValueError` with the title
of what is wrong, in the words of the API's authors.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final, TypeVar, cast
from uuid import UUID

import phonenumbers

from bayon.cards import BadAttributes
from bayon.cms.jsonapi import Resource
from bayon.errors import Problem
from bayon.fetch import BadUrl
from bayon.money import AMOUNT_MINOR_MAX

TEXT_LENGTH_MAX: Final = 255
LONG_TEXT_LENGTH_MAX: Final = 1_000
URL_LENGTH_MAX: Final = 2_048
KEYS_MAX: Final = 50
KEY_LENGTH_MAX: Final = 40
VALUE_LENGTH_MAX: Final = 500
REGION: Final = "KH"
BORN_MIN: Final = date(1900, 1, 1)

END_OF_DAY: Final = timedelta(days=1, microseconds=-1)
END_OF_SECOND: Final = timedelta(seconds=1, microseconds=-1)

_DATE: Final = re.compile(r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})")
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
_NUMBER: Final = re.compile(r"[0-9]{6}")
_DIGITS: Final = re.compile(r"[0-9]+")
_BETWEEN_DIGITS: Final = re.compile(r"[\s().-]")

T = TypeVar("T")
Check = Callable[[object], T]


class Reading:
    """The reading of one resource: takes its members one by one and remembers what is wrong."""

    def __init__(self, resource: Resource, problems: list[Problem]) -> None:
        self._members: dict[str, Mapping[str, object]] = {
            name: _object_or_none(resource.get(name)) for name in ("attributes", "relationships")
        }
        self._problems: list[Problem] = problems

    def required(self, name: str, check: Check[T], *, within: str = "") -> T | None:
        """Take an attribute that must be there; None when something is wrong with it."""
        members, pointer = self._place(name, within)
        if name not in members:
            self.fail(pointer, "is missing")
            return None
        if members[name] is None:
            self.fail(pointer, "must be filled")
            return None
        return self._check(check, members[name], pointer)

    def optional(self, name: str, check: Check[T], *, within: str = "") -> T | None:
        """Take an attribute that may be missing or null."""
        members, pointer = self._place(name, within)
        value = members.get(name)
        return None if value is None else self._check(check, value, pointer)

    def given(self, name: str) -> object:
        """Tell an attribute as it came; None where it did not."""
        return self._members["attributes"].get(name)

    def has(self, name: str, *, within: str = "") -> bool:
        """Tell whether an attribute is there at all, null or not."""
        return name in self._place(name, within)[0]

    def has_object(self, name: str) -> bool:
        """Tell whether an attribute is an object, in which others are looked for."""
        return isinstance(self.given(name), dict)

    def related(self, name: str) -> UUID | None:
        """Take the id of a relationship to one resource that must be there.

        An id that is none is nobody's: whether there is such a resource is for the room to say.
        """
        pointer = f"/data/relationships/{name}"
        relationship = self._members["relationships"].get(name)
        if relationship is None:
            self.fail(pointer, "is missing")
            return None
        linkage = _object_or_none(_object_or_none(relationship).get("data"))
        if not linkage:
            self.fail(f"{pointer}/data", "must be filled")
            return None
        if linkage.get("type") not in (name, f"{name}s"):  # of any kind, a list too
            self.fail(f"{pointer}/data/type", f"must be equal to {name}")
        if not isinstance(linkage.get("id"), str):
            self.fail(f"{pointer}/data/id", "must be a string")
            return None
        return uuid_or_nobody(cast("str", linkage["id"]))

    def related_if_given(self, name: str) -> UUID | None:
        """Take the id of a relationship to one resource, if there is such a relationship."""
        given = self._members["relationships"].get(name)
        return None if given is None else self.related(name)

    def fail(self, pointer: str, title: str) -> None:
        """Remember what is wrong."""
        self._problems.append(Problem(pointer=pointer, message=title))

    def finish(self) -> None:
        """Raise what is wrong, if anything is. Errors: `BadAttributes`, with every failing path."""
        if self._problems:
            raise BadAttributes(problems=tuple(self._problems))

    def _place(self, name: str, within: str) -> tuple[Mapping[str, object], str]:
        attributes = self._members["attributes"]
        if not within:
            return attributes, f"/data/attributes/{name}"
        return _object_or_none(attributes.get(within)), f"/data/attributes/{within}/{name}"

    def _check(self, check: Check[T], value: object, pointer: str) -> T | None:
        try:
            return check(value)
        except Wrong as error:
            for where, title in error.titles.items():
                self.fail(pointer + where, title)
        except ValueError as error:
            self.fail(pointer, str(error))
        return None


class Wrong(ValueError):
    """What is wrong lies below the value: titles by where, a pointer from there on."""

    def __init__(self, titles: Mapping[str, str]) -> None:
        super().__init__(*titles.values())
        self.titles: Mapping[str, str] = titles


def uuid_or_nobody(text: str) -> UUID:
    """Read an id; what is none is nobody's."""
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)


def text(value: object, *, length_max: int = TEXT_LENGTH_MAX) -> str:
    """Take a text with something in it."""
    if not isinstance(value, str):
        raise ValueError("must be a string")  # noqa: TRY004 - a title, not a fault of ours
    if not value.strip():
        raise ValueError("must be filled")
    if "\x00" in value:
        raise ValueError("must not have a null character")
    if len(value) > length_max:
        raise ValueError(f"must have at most {length_max} characters")
    return value


def long_text(value: object) -> str:
    """Take a text of several lines, an address say."""
    return text(value, length_max=LONG_TEXT_LENGTH_MAX)


def one_of(*allowed: str) -> Check[str]:
    """Make a check for one of these words."""

    def check(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError("must be a string")  # noqa: TRY004 - a title, not a fault of ours
        if value not in allowed:
            raise ValueError(f"must be one of: {', '.join(allowed)}")
        return value

    return check


def account_number(value: object) -> str:
    """Take an account's number: six digits, in a string."""
    if not isinstance(value, str):
        raise ValueError("must be a string")  # noqa: TRY004 - a title, not a fault of ours
    if not _NUMBER.fullmatch(value):
        raise ValueError("must have six digits")
    return value


def whole(value: object) -> int:
    """Take a whole number, with a decimal point or without: JSON has one kind of numbers."""
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    if not isinstance(number, int) or isinstance(number, bool):
        raise ValueError("must be an integer")  # noqa: TRY004 - a title, not a fault of ours
    return number


def amount(value: object) -> int:
    """Take an amount: minor units, at least one."""
    amount_minor = whole(value)
    if not 0 < amount_minor <= AMOUNT_MINOR_MAX:
        raise ValueError(f"must be from 1 to {AMOUNT_MINOR_MAX}")
    return amount_minor


def phone_number(value: object) -> str:
    """Take a phone number in any usual form; E.164 without its plus. Cambodia, if it says none."""
    given = text(value, length_max=40)
    bare = _BETWEEN_DIGITS.sub("", given)
    forms = [given, f"+{bare.removeprefix('00')}"] if _DIGITS.fullmatch(bare) else [given]
    for form in forms:
        try:
            number = phonenumbers.parse(form, REGION)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
            return e164.removeprefix("+")
    raise ValueError("is invalid")


def email(value: object) -> str:
    """Take an address mail can be sent to."""
    given = text(value)
    if not _EMAIL.fullmatch(given):
        raise ValueError("is invalid")
    return given


def date_of_birth(value: object) -> date:
    """Take a date, YYYYMMDD or with dashes, on which somebody alive may have been born."""
    found = _DATE.fullmatch(text(value))
    try:
        born_on = date(int(found[1]), int(found[2]), int(found[3])) if found else None
    except ValueError:
        born_on = None
    if born_on is None:
        raise ValueError("must be a date: YYYYMMDD or YYYY-MM-DD")
    if not BORN_MIN <= born_on <= datetime.now(UTC).date():
        raise ValueError("must be a date in the past")
    return born_on


def url(judge: Callable[[str], None]) -> Check[str]:
    """Make a check for a URL that may be fetched, as `judge` says."""

    def check(value: object) -> str:
        given = text(value, length_max=URL_LENGTH_MAX)
        try:
            judge(given)
        except BadUrl as error:
            raise ValueError(f"is not allowed: {error.message.removesuffix('.')}") from None
        return given

    return check


def past(value: object) -> datetime:
    """Take an instant since 1900."""
    at = instant(value)
    if at.date() < BORN_MIN:
        raise ValueError(f"must not be before {BORN_MIN.year}")
    return at


def instant(value: object) -> datetime:
    """Take an instant in ISO 8601; UTC, if it says none."""
    given = text(value).replace(" ", "+")
    try:
        at = datetime.fromisoformat(given)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a date/time in ISO 8601") from None


def filter_id(value: str) -> UUID:
    """Take a filter's id."""
    try:
        return UUID(value)
    except ValueError:
        raise ValueError("is invalid") from None


def filter_from(value: str) -> datetime:
    """Take the instant from which on; a date is its first."""
    return instant(value)


def filter_to(value: str) -> datetime:
    """Take the instant up to which: of a date its last, and of a second, as times are shown."""
    at = instant(value)
    if _DATE.fullmatch(value):
        return at + END_OF_DAY
    return at if at.microsecond else at + END_OF_SECOND


def pairs(value: object) -> Mapping[str, object]:
    """Take key-value pairs; a null is for who merges them.

    Source: the limits, design 12 and the issue: 50 keys of 40 characters, values of 500.
    """
    if not isinstance(value, dict):
        raise ValueError("must be an object")  # noqa: TRY004 - a title, not a fault of ours
    given = cast("Mapping[str, object]", value)
    if len(given) > KEYS_MAX:
        raise ValueError(f"must have at most {KEYS_MAX} keys")
    titles = {below(key): title for key, each in given.items() if (title := _wrong(key, each))}
    if titles:
        raise Wrong(titles)
    return given


def new_pairs(value: object) -> Mapping[str, object]:
    """Take key-value pairs of something new: nothing is there that a null could remove."""
    return {key: each for key, each in pairs(value).items() if each is not None}


def below(key: str) -> str:
    """Point at a key of an object, from there on."""
    return "/" + key.replace("~", "~0").replace("/", "~1")


def boolean(value: object) -> bool:
    """Take a boolean."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - a title, not a fault of ours
    return value


def object_of(value: object) -> Mapping[str, object]:
    """Take an object."""
    if not isinstance(value, dict):
        raise ValueError("must be an object")  # noqa: TRY004 - a title, not a fault of ours
    return cast("Mapping[str, object]", value)


def _wrong(key: str, value: object) -> str | None:
    """Say what is wrong with a pair, if anything is."""
    if not 0 < len(key) <= KEY_LENGTH_MAX:
        return f"must have a key of 1 to {KEY_LENGTH_MAX} characters"
    if value is not None and not isinstance(value, str | int | float):
        return "must be a string, a number or a boolean"
    if "\x00" in key or "\x00" in str(value):
        return "must not have a null character"
    if len(str(value)) > VALUE_LENGTH_MAX:
        return f"must have at most {VALUE_LENGTH_MAX} characters"
    return None


def _object_or_none(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}
