"""The Bakong door: the Open API and the participant API."""

from bayon.bakong import tokens
from bayon.bakong.api import OpenApi
from bayon.bakong.participants import ParticipantApi
from bayon.bakong.register import Registrar
from bayon.bakong.wire import refuse

__all__ = ["OpenApi", "ParticipantApi", "Registrar", "refuse", "tokens"]
