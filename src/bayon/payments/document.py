"""The public shape of payments: the transaction as the Open API shows it, and its relatives."""

from bayon.clock import epoch_ms
from bayon.money import major_from_minor
from bayon.payments.accounts import Statement
from bayon.payments.model import Payment


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
