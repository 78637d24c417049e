"""The public shape of payments: the transaction as the Open API shows it, and its relatives."""

from typing import Final

import msgspec

from bayon.clock import epoch_ms
from bayon.money import major_from_minor
from bayon.payments.accounts import Statement
from bayon.payments.model import Payment

FOUND: Final = "Getting transaction successfully."
STATIC: Final = "Sorry, the system does not support static QR code."
FAILED: Final = "Transaction failed."


def transaction(payment: Payment) -> dict[str, object]:
    """Show a payment. `amount` is a number in major units, `*Ms` are integers.

    Source: Bakong Open API 1.0.2, 5.3; the later members as the live service shows them.
    """
    return {
        "hash": payment.hash.hex(),
        "fromAccountId": payment.from_account_id,
        "toAccountId": payment.to_account_id,
        "currency": payment.currency.value,
        "amount": major_from_minor(payment.amount_minor),
        "description": payment.description,
        "createdDateMs": epoch_ms(payment.created_at),
        "acknowledgedDateMs": epoch_ms(payment.acknowledged_at or payment.created_at),
        "trackingStatus": tracking_status(payment),
        "receiverBank": payment.receiver_bank,
        "receiverBankAccount": payment.receiver_bank_account,
        "instructionRef": payment.instruction_ref,
        "externalRef": payment.external_ref,
    }


def answer_by_md5(payment: Payment) -> bytes:
    """Write what a check by MD5 answers to a final payment: the Open API's envelope.

    Here and not at the door, because a callback tells these very bytes, frozen with the payment.
    """
    if payment.qr_kind == "static":
        return _envelope(None, 2, STATIC)
    if payment.state == "failed":
        return _envelope(None, 3, FAILED)
    return _envelope(transaction(payment), None, FOUND)


def told(payment: Payment) -> bytes:
    """Write what a callback is told of a payment: the answer, and behind its members the MD5."""
    assert payment.md5 is not None
    return answer_by_md5(payment)[:-1] + b',"md5":"%s"}' % payment.md5.hex().encode()


def _envelope(data: object, error_code: int | None, message: str) -> bytes:
    response_code = 0 if error_code is None else 1
    return msgspec.json.encode(
        {
            "data": data,
            "errorCode": error_code,
            "responseCode": response_code,
            "responseMessage": message,
        }
    )


def tracking_status(payment: Payment) -> str | None:
    """Tell how far a payment has come, in the live service's words; None while it is pending."""
    if payment.refunded_at is not None:
        return "REFUNDED_BY_RECEIVER"
    return {"succeeded": "SUCCESS", "failed": "FAILED_AT_ACH"}.get(payment.state)


def own_payment(payment: Payment) -> dict[str, object]:
    """Show a payment to the participant who made it: its state and why it was declined, too."""
    return {
        **transaction(payment),
        "state": payment.state,
        "declineReason": payment.decline_reason,
        "md5": payment.md5.hex() if payment.md5 else None,
    }


def statement(statement: Statement) -> dict[str, object]:
    """Show an account with its balances."""
    return {
        "accountId": statement.account.account_id,
        "name": statement.account.name,
        "balances": [
            {
                "currency": currency.value,
                "available": major_from_minor(balance.available_minor),
                "posted": major_from_minor(balance.posted_minor),
            }
            for currency, balance in sorted(statement.balances.items())
        ],
    }
