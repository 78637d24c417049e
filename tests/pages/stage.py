"""A stage for the pages of card holders: a sandbox, its vault, links, forms as pages show them."""

import html
import re
from dataclasses import dataclass
from typing import Any, Final

import httpx

from bayon import sandbox
from bayon.cards import TokenType, Vault
from links import browser
from pages.holders import Held, hold
from sandboxes import Sandbox

TYPES: Final[tuple[TokenType, ...]] = ("card_activation", "pin_reset")
TITLES: Final[dict[TokenType, str]] = {
    "card_activation": "Activate your card",
    "pin_reset": "Choose a new PIN",
}
DONE: Final[dict[TokenType, str]] = {
    "card_activation": "Your card is active",
    "pin_reset": "Your PIN is changed",
}


@dataclass(frozen=True, kw_only=True)
class Form:
    """The form as a page shows it, its fields still empty."""

    action: str
    hidden: dict[str, str]

    def filled(self, pin: str, confirmation: str | None = None, **changed: str) -> dict[str, str]:
        """Fill it in, the same PIN twice unless told otherwise."""
        again = pin if confirmation is None else confirmation
        return {**self.hidden, "pin": pin, "pin_confirmation": again, **changed}


def form_of(page: httpx.Response) -> Form:
    """Find the form of a page."""
    action = re.search(r'<form method="post" action="([^"]+)"', page.text)
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text)
    assert action, page.text
    return Form(
        action=html.unescape(action[1]),
        hidden={name: html.unescape(value) for name, value in hidden},
    )


async def vault_of(town: Sandbox) -> Vault:
    """Make the vault the sandbox has."""
    return Vault((await town.db.transaction(sandbox.keep_keys)).vault)


async def held_in(
    town: Sandbox,
    of_type: TokenType = "card_activation",
    **more: Any,  # noqa: ANN401 - as of `hold`
) -> Held:
    """Make a card and a link to it in a sandbox; `more` as of `hold`."""
    return await hold(town.db, of_type, vault=await vault_of(town), **more)


def path_of(held: Held, of_type: TokenType = "card_activation", **query: str) -> str:
    """Name the page a link leads to."""
    return str(httpx.URL(f"/{of_type}/new", params={"token": held.token, **query}))


async def choose(
    town: Sandbox, held: Held, of_type: TokenType, pin: str, confirmation: str | None = None
) -> httpx.Response:
    """Open the page and send its form, as one visitor."""
    async with browser(town) as person:
        form = form_of(await person.get(path_of(held, of_type)))
        return await person.post(form.action, data=form.filled(pin, confirmation))
