"""The door of card management: its operations, as one table.

Source: Bongloy card management API, all sections; extensions: design 8.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bayon.cards import Desk
from bayon.cms.accounts import Accounts
from bayon.cms.cardholders import Cardholders
from bayon.cms.controls import ControlsApi
from bayon.cms.hooks import Hooks
from bayon.cms.issued import Cards
from bayon.cms.issuers import Issuers
from bayon.cms.operation import refusals
from bayon.cms.transactions import Events, Transactions
from bayon.cms.wire import refuse
from bayon.seal import Sealer
from bayon.web import Operation, with_refusals

ERRORS: Final = {"$ref": "#/components/schemas/Errors"}


@dataclass(frozen=True, kw_only=True)
class CardApi:
    """The door of card management."""

    desk: Desk
    sealer: Sealer
    virtual: bool = False

    def operations(self) -> list[Operation]:
        """List the operations of this door."""
        resources = (
            Accounts(desk=self.desk),
            Cardholders(desk=self.desk),
            Cards(desk=self.desk, virtual=self.virtual),
            Events(desk=self.desk),
            Transactions(desk=self.desk),
            Issuers(desk=self.desk),
            ControlsApi(desk=self.desk),
            Hooks(desk=self.desk, sealer=self.sealer),
        )
        found: Sequence[Operation] = [o for each in resources for o in each.operations()]
        return with_refusals(found, refuse, errors=refusals, schema=ERRORS)
