"""The Bakong door: the Open API and the participant API."""

from bayon.bakong import tokens
from bayon.bakong.api import OpenApi
from bayon.bakong.callbacks import CallbackApi
from bayon.bakong.participants import ParticipantApi
from bayon.bakong.register import Registrar, issue_token
from bayon.bakong.wire import refuse

__all__ = [
    "CallbackApi",
    "OpenApi",
    "ParticipantApi",
    "Registrar",
    "issue_token",
    "refuse",
    "tokens",
]
