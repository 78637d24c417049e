"""Zone PIN keys on the wire: a network sends a new one, and the former still counts for a while.

What is kept is the key block itself, which without its protection key is nothing. A key came upon
a configured one: once that is another, what came upon the former counts no more.
"""

from datetime import datetime

from bayon.cards.zone_key_store import SentKey, insert_sent_key, newest_sent_keys, was_sent
from bayon.db import RunAgain, Tx
from bayon.errors import Invalid


class KeySentBefore(Invalid):
    """This key block came before; an old key does not come back."""

    code = "key_sent_before"


async def keep_sent_key(tx: Tx, *, link: str, block: str, upon: str, now: datetime) -> None:
    """Keep the key a link's network has sent, as its newest. What is newest already is left so.

    Locks nothing: of two at once one runs again. Errors: `KeySentBefore`, so that nobody who has
    listened can bring back a key that was broken.
    """
    newest = next(iter((await newest_sent_keys(tx, links=[link]))[-1:]), None)
    if newest is not None and (newest.block, newest.upon) == (block, upon):
        return
    if await was_sent(tx, link=link, block=block):
        raise KeySentBefore
    version = newest.version + 1 if newest else 1
    key = SentKey(link=link, version=version, block=block, upon=upon, received_at=now)
    if not await insert_sent_key(tx, key):
        raise RunAgain
