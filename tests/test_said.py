"""The search through everything that was logged finds what it is for."""

from cards_factories import VAULT
from said import never_say, said


def test_a_token_in_a_line_is_found() -> None:
    never_say("a token of this test", "only-here-and-nowhere-else")
    assert said("GET /v1/cards only-here-and-nowhere-else 200") == ["a token of this test"]
    assert said("GET /v1/cards 200") == []


def test_a_card_number_of_our_making_is_found_by_itself() -> None:
    pan = VAULT.make_pan("91160000").reveal()
    assert said(f"card {pan} declined") == ["a card number"]
    other = f"{pan[:-1]}{(int(pan[-1]) + 1) % 10}"  # its check digit is not right
    assert said(f"transfer {other}") == []
