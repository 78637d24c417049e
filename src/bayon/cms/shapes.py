"""Shapes of this door's resources, requests and errors, for the description. Pure, a table."""

from typing import Any, Final

Schema = dict[str, Any]

ID: Final[Schema] = {"type": "string", "format": "uuid"}
INSTANT: Final[Schema] = {"type": "string", "format": "date-time"}
TEXT: Final[Schema] = {"type": "string"}
TEXT_OR_NULL: Final[Schema] = {"type": ["string", "null"]}
MINOR: Final[Schema] = {"type": "integer", "description": "minor units: hundredths"}
SIGNED_MINOR: Final[Schema] = {"type": "integer", "description": "minor units; may be below 0"}
PAIRS: Final[Schema] = {
    "type": "object",
    "maxProperties": 50,
    "additionalProperties": {"type": ["string", "number", "boolean"]},
}
PAIRS_TAKEN: Final[Schema] = {
    "type": ["object", "null"],
    "maxProperties": 50,
    "propertyNames": {"minLength": 1, "maxLength": 40},
    "additionalProperties": {"type": ["string", "number", "boolean", "null"], "maxLength": 500},
    "description": "merged, key by key; null removes a key",
}
CURRENCY: Final[Schema] = {"type": "string", "enum": ["USD", "KHR"]}
MONEY: Final[Schema] = {
    "type": "object",
    "required": ["amount", "currency"],
    "properties": {"amount": SIGNED_MINOR, "currency": CURRENCY},
}
LINKS: Final[Schema] = {
    "type": "object",
    "required": ["prev", "next"],
    "properties": {
        "prev": {"type": ["string", "null"], "description": "newer ones, once there are"},
        "next": {"type": ["string", "null"], "description": "older ones; null at the end"},
    },
}
EMPTY: Final[Schema] = {"type": "object", "description": "nothing in it is of interest"}
ERRORS: Final[Schema] = {
    "type": "object",
    "required": ["errors"],
    "additionalProperties": False,
    "properties": {
        "errors": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["status", "code", "title", "detail"],
                "additionalProperties": False,
                "properties": {
                    "status": {"type": "string", "pattern": "^[45][0-9]{2}$"},
                    "code": TEXT,
                    "title": TEXT,
                    "detail": TEXT,
                    "source": {
                        "type": "object",
                        "properties": {"pointer": TEXT, "parameter": TEXT, "header": TEXT},
                        "additionalProperties": False,
                    },
                },
            },
        }
    },
}
TIMES: Final[Schema] = {"created_at": INSTANT, "updated_at": INSTANT}

MERCHANT: Final[Schema] = {
    "type": "object",
    "required": ["city", "name", "country", "category"],
    "properties": {"city": TEXT, "name": TEXT, "country": TEXT, "category": TEXT_OR_NULL},
}
DETAILS: Final[Schema] = {
    "oneOf": [
        {
            "type": "object",
            "required": ["type", "card"],
            "properties": {
                "type": {"const": "card"},
                "card": {
                    "type": "object",
                    "required": ["merchant_data"],
                    "properties": {"merchant_data": MERCHANT},
                },
            },
        },
        {
            "type": "object",
            "required": ["type", "topup"],
            "properties": {
                "type": {"const": "topup"},
                "topup": {
                    "type": "object",
                    "required": ["funding_source"],
                    "properties": {"funding_source": TEXT},
                },
            },
        },
    ]
}
FEE: Final[Schema] = {
    "type": "object",
    "required": ["type", "amount", "currency"],
    "properties": {"type": TEXT, "amount": MINOR, "currency": CURRENCY},
}
FEE_RULE: Final[Schema] = {
    "type": ["object", "null"],
    "properties": {
        "flat": {"type": "integer", "minimum": 0, "description": "minor units"},
        "percent": {"type": "number", "minimum": 0, "maximum": 100},
    },
    "additionalProperties": False,
}
DECISION: Final[Schema] = {
    "type": ["object", "null"],
    "properties": {
        "url": {"type": "string", "format": "uri"},
        "timeout_ms": {"type": "integer", "minimum": 50, "maximum": 1_000},
        "default": {"type": "string", "enum": ["approve", "decline"]},
        "signing_secret": {"type": "string", "readOnly": True, "description": "shown once"},
    },
    "required": ["url"],
}
MCCS: Final[Schema] = {
    "type": ["array", "null"],
    "maxItems": 1_000,
    "items": {"type": "string", "pattern": "^[0-9]{4}$"},
}
COUNTRIES: Final[Schema] = {
    "type": ["array", "null"],
    "maxItems": 1_000,
    "items": {"type": "string", "pattern": "^[A-Z]{2}$", "description": "ISO 3166"},
}
LIMIT: Final[Schema] = {"type": ["integer", "null"], "minimum": 0, "description": "null: none"}
CONTROLS: Final[Schema] = {
    **dict.fromkeys(("amount_per_transaction", "amount_per_day", "count_per_day"), LIMIT),
    **dict.fromkeys(("allowed_mccs", "blocked_mccs"), MCCS),
    **dict.fromkeys(("allowed_countries", "blocked_countries"), COUNTRIES),
}


def _resource(kind: str, attributes: Schema, *related: str) -> Schema:
    """Describe a resource. Only type and id are sure to be there: `fields` leaves out the rest."""
    schema: Schema = {
        "type": "object",
        "required": ["id", "type"],
        "properties": {
            "id": ID,
            "type": {"const": kind},
            "attributes": {"type": "object", "properties": attributes},
        },
    }
    if related:
        schema["properties"]["relationships"] = {
            "type": "object",
            "properties": {name: linkage(name) for name in related},
        }
    return schema


def linkage(kind: str) -> Schema:
    """Describe a relationship to one resource."""
    return {
        "type": "object",
        "required": ["data"],
        "properties": {
            "data": {
                "type": "object",
                "required": ["id", "type"],
                "properties": {"id": ID, "type": {"type": "string", "enum": [kind, f"{kind}s"]}},
            }
        },
    }


def one(name: str) -> Schema:
    """Describe a document of one resource."""
    return {
        "type": "object",
        "required": ["data"],
        "properties": {
            "data": {"$ref": f"#/components/schemas/{name}"},
            "included": {"type": "array", "items": {"type": "object"}},
        },
    }


def many(name: str) -> Schema:
    """Describe a document of a page of resources."""
    return {
        "type": "object",
        "required": ["data", "links"],
        "properties": {
            "data": {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}},
            "included": {"type": "array", "items": {"type": "object"}},
            "links": LINKS,
        },
    }


def taken(
    kind: str,
    attributes: Schema,
    *,
    required: tuple[str, ...] = (),
    with_id: bool = False,
    related: str | None = None,
) -> Schema:
    """Describe a request's document."""
    data: Schema = {
        "type": "object",
        "required": ["type", *(["id"] if with_id else []), *(["attributes"] if required else [])],
        "properties": {
            "type": {"type": "string", "enum": [kind]},
            "attributes": {
                "type": "object",
                "properties": attributes,
                "required": list(required),
            },
        },
    }
    if with_id:
        data["properties"]["id"] = ID
    if related is not None:
        data["properties"]["relationships"] = {
            "type": "object",
            "required": [related],
            "properties": {related: linkage(related)},
        }
        data["required"].append("relationships")
    return {"type": "object", "required": ["data"], "properties": {"data": data}}


INDIVIDUAL: Final[Schema] = {
    "type": "object",
    "properties": {
        "address": TEXT,
        "date_of_birth": {"type": "string", "format": "date"},
        "identity_document_number": TEXT,
        "identity_document_type": {"type": "string", "enum": ["id_card", "passport"]},
    },
}
CARD_STATUSES: Final = ("unactivated", "active", "inactive", "canceled", "lost", "stolen")
STATUSES: Final = ("pending", "settled", "reversed", "expired", "declined")
EVENT_TYPES: Final = (
    *("transaction.created", "transaction.updated", "transaction.declined"),
    *("cardholder.created", "cardholder.updated", "account.created", "account.updated"),
    *("card.created", "card.updated"),
)
FILTERS: Final[Schema] = {
    "account": ID,
    "card": ID,
    "cardholder": ID,
    "status": {"type": "string", "enum": list(STATUSES)},
    "balance_adjustment_type": {"type": "string", "enum": ["credit", "debit"]},
    "type": {"type": "string", "enum": list(EVENT_TYPES)},
    "from_date": {**INSTANT, "description": "ISO 8601; a date is its first instant"},
    "to_date": {**INSTANT, "description": "ISO 8601; a date is its last instant"},
}
"""What each filter takes, in whichever list."""

COMPONENTS: Final[Schema] = {
    "Errors": ERRORS,
    "Balance": _resource("balance", {"available": MONEY, "balance": MONEY}),
    "Account": _resource(
        "account",
        {**TIMES, "currency": CURRENCY, "number": TEXT, "status": TEXT, "metadata": PAIRS},
        "cardholder",
    ),
    "Cardholder": _resource(
        "cardholder",
        {
            **TIMES,
            "name": TEXT,
            "phone_number": TEXT,
            "email": TEXT_OR_NULL,
            "type": {"const": "individual"},
            "status": {"type": "string", "enum": ["processing_profile", "active", "rejected"]},
            "rejection_reason": TEXT,
            "additional_details": PAIRS,
            "metadata": PAIRS,
            "individual": INDIVIDUAL,
        },
    ),
    "Card": _resource(
        "card",
        {
            **TIMES,
            "last_four": {"type": "string", "pattern": "^[0-9]{4}$"},
            "exp_month": {"type": "integer", "minimum": 1, "maximum": 12},
            "exp_year": {"type": "integer"},
            "status": {"type": "string", "enum": list(CARD_STATUSES)},
            "type": {"type": "string", "enum": ["physical", "virtual"]},
        },
        "account",
    ),
    "ManagementToken": _resource(
        "card_management_token",
        {
            **TIMES,
            "expires_at": INSTANT,
            "type": {"type": "string", "enum": ["card_activation", "pin_reset"]},
            "url": {"type": "string", "format": "uri"},
        },
    ),
    "Event": _resource(
        "event",
        {
            **TIMES,
            "type": TEXT,
            "details": {
                "type": "object",
                "required": ["data"],
                "properties": {"data": {"type": "object", "required": ["id", "type"]}},
            },
        },
    ),
    "WebhookEndpoint": _resource(
        "webhook_endpoint",
        {
            **TIMES,
            "url": {"type": "string", "format": "uri"},
            "event_types": {"type": "array", "items": TEXT},
            "enabled": {"type": "boolean"},
            "disabled_reason": TEXT_OR_NULL,
            "signing_secret": {"type": "string", "minLength": 32, "maxLength": 32},
        },
    ),
    "DeliveryAttempt": _resource(
        "delivery_attempt",
        {
            "attempted_at": INSTANT,
            "status_code": {"type": ["integer", "null"]},
            "duration_ms": {"type": "integer", "minimum": 0},
            "error": TEXT_OR_NULL,
            "response_excerpt": TEXT_OR_NULL,
        },
        "event",
        "webhook_endpoint",
    ),
    "Transaction": _resource(
        "transaction",
        {
            **TIMES,
            "currency": CURRENCY,
            "transaction_number": {"type": "string", "pattern": "^[0-9]{12}$"},
            "transaction_currency": CURRENCY,
            "transaction_details": DETAILS,
            "type": {"type": "string", "enum": ["purchase", "cash_withdrawal"]},
            "fees": {"type": "array", "items": FEE},
            "status": {"type": "string", "enum": list(STATUSES)},
            "decline_reason": TEXT,
            "balance_adjustment_type": {"type": "string", "enum": ["credit", "debit"]},
            "amount": MINOR,
            "total_fee": MINOR,
            "transaction_amount": MINOR,
            "transaction_time": INSTANT,
            "settlement_time": {"type": ["string", "null"], "format": "date-time"},
        },
        "account",
        "card",
    ),
    "Issuer": _resource(
        "issuer",
        {
            **TIMES,
            "name": TEXT,
            "bin": {"type": "string", "pattern": "^[0-9]{6,9}$"},
            "fees": {"type": "object", "additionalProperties": FEE_RULE},
            "decision": DECISION,
        },
    ),
    "Controls": _resource(
        "controls",
        {
            **CONTROLS,
            "used_today": {
                "type": "object",
                "required": ["amount", "count"],
                "properties": {"amount": MINOR, "count": {"type": "integer"}},
            },
        },
    ),
}
