"""The door to the card network: ISO 8583, as each link writes it."""
