"""What the description shows: the sample requests and answers of the document, as data.

Source: Bongloy Card Management System API, the sample of each operation, exactly as printed.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

BALANCE: Final[dict[str, object]] = {
    "data": {
        "id": "53c7c220-c019-45be-abfd-d34f89868583",
        "type": "balance",
        "attributes": {
            "available": {"amount": 9000, "currency": "USD"},
            "balance": {"amount": 10000, "currency": "USD"},
        },
    }
}

CREATE_ACCOUNT: Final[dict[str, object]] = {
    "data": {
        "type": "account",
        "attributes": {"number": "123456", "currency": "USD", "metadata": {"foobar": "foobar"}},
        "relationships": {
            "cardholder": {
                "data": {"type": "cardholder", "id": "2e5bdf25-9ed3-448a-9b21-8a5762d981b3"}
            }
        },
    }
}
CREATED_ACCOUNT: Final[dict[str, object]] = {
    "data": {
        "id": "3997e814-2833-4e33-a2fd-2c561acb4a5e",
        "type": "account",
        "attributes": {
            "created_at": "2020-04-09T12:20:08Z",
            "updated_at": "2020-04-09T12:20:08Z",
            "currency": "USD",
            "number": "123456",
            "status": "active",
            "metadata": {"foobar": "foobar"},
        },
        "relationships": {
            "cardholder": {
                "data": {"id": "2e5bdf25-9ed3-448a-9b21-8a5762d981b3", "type": "cardholder"}
            }
        },
    }
}

ACCOUNTS: Final[dict[str, object]] = {
    "data": [
        {
            "id": "a7306ece-3004-4a8d-bd96-b14dec1bfc0f",
            "type": "account",
            "attributes": {
                "created_at": "2020-04-09T12:20:08Z",
                "updated_at": "2020-04-09T12:20:08Z",
                "currency": "USD",
                "number": "000123",
                "status": "active",
                "metadata": {},
            },
            "relationships": {
                "cardholder": {
                    "data": {"id": "b010775d-6fb9-41fa-893f-dd310746a653", "type": "cardholder"}
                }
            },
        },
        {
            "id": "ee027ded-485c-4ac7-950c-5af1238f35be",
            "type": "account",
            "attributes": {
                "created_at": "2020-04-09T12:20:08Z",
                "updated_at": "2020-04-09T12:20:08Z",
                "currency": "USD",
                "number": "000122",
                "status": "active",
                "metadata": {},
            },
            "relationships": {
                "cardholder": {
                    "data": {"id": "ae42126d-706f-44a4-a411-2d6e879fc127", "type": "cardholder"}
                }
            },
        },
    ],
    "links": {
        "prev": "http://example.org/v1/accounts"
        "?page%5Bbefore%5D=a7306ece-3004-4a8d-bd96-b14dec1bfc0f",
        "next": None,
    },
}

ACCOUNT: Final[dict[str, object]] = {
    "data": {
        "id": "d36054bf-9387-4962-97c2-7b055956bcf5",
        "type": "account",
        "attributes": {
            "created_at": "2020-04-09T12:20:08Z",
            "updated_at": "2020-04-09T12:20:08Z",
            "currency": "USD",
            "number": "000121",
            "status": "active",
            "metadata": {},
        },
        "relationships": {
            "cardholder": {
                "data": {"id": "92a7b535-a9a6-4674-9f6c-ab549f97fda1", "type": "cardholder"}
            }
        },
    }
}

UPDATE_ACCOUNT: Final[dict[str, object]] = {
    "data": {
        "type": "account",
        "id": "7a9f200e-973a-4bc9-96ab-2c57641a740c",
        "attributes": {"metadata": {"buzz": "foobar"}},
    }
}
UPDATED_ACCOUNT: Final[dict[str, object]] = {
    "data": {
        "id": "7a9f200e-973a-4bc9-96ab-2c57641a740c",
        "type": "account",
        "attributes": {
            "created_at": "2020-04-09T12:20:08Z",
            "updated_at": "2020-04-09T12:20:08Z",
            "currency": "USD",
            "number": "000120",
            "status": "active",
            "metadata": {"foo": "bar", "buzz": "foobar"},
        },
        "relationships": {
            "cardholder": {
                "data": {"id": "b493d06b-d3e1-4a33-9756-e8241acab222", "type": "cardholder"}
            }
        },
    }
}

CREATE_CARDHOLDER: Final[dict[str, object]] = {
    "data": {
        "type": "cardholder",
        "attributes": {
            "name": "Tang Dara",
            "phone_number": "855715200960",
            "type": "individual",
            "individual": {
                "date_of_birth": "20161220",
                "address": "#87, Street 63 (Trasak Paem), Sangkat Boeung Raing, "
                "Khan Daun Penh, Phnom Penh, Cambodia",
                "remote_photo_url": "https://via.placeholder.com/150.png",
                "remote_identity_document_url": "https://via.placeholder.com/600.png",
                "identity_document_number": "123456789",
                "identity_document_type": "id_card",
            },
            "additional_details": {
                "name_km": "តាំង តារា",
                "member_since": "2017",
                "member_id": "P01-123456",
            },
            "metadata": {"foobar": "foobar"},
        },
    }
}
CREATED_CARDHOLDER: Final[dict[str, object]] = {
    "data": {
        "id": "493fe8d2-3d6b-470b-8240-1b4a1cbff7ce",
        "type": "cardholder",
        "attributes": {
            "created_at": "2020-04-09T12:20:08Z",
            "updated_at": "2020-04-09T12:20:08Z",
            "name": "Tang Dara",
            "phone_number": "855715200960",
            "email": None,
            "type": "individual",
            "status": "processing_profile",
            "additional_details": {
                "name_km": "តាំង តារា",
                "member_since": "2017",
                "member_id": "P01-123456",
            },
            "metadata": {"foobar": "foobar"},
            "individual": {
                "address": "#87, Street 63 (Trasak Paem), Sangkat Boeung Raing, "
                "Khan Daun Penh, Phnom Penh, Cambodia",
                "date_of_birth": "2016-12-20",
                "identity_document_number": "123456789",
                "identity_document_type": "id_card",
            },
        },
    }
}

CARDHOLDERS: Final[dict[str, object]] = {
    "data": [
        {
            "id": "5afe1876-665e-49e9-a744-933c30c55312",
            "type": "cardholder",
            "attributes": {
                "created_at": "2020-04-09T12:20:10Z",
                "updated_at": "2020-04-09T12:20:10Z",
                "name": "Meta Kanha",
                "phone_number": "855715100860",
                "email": None,
                "type": "individual",
                "status": "active",
                "additional_details": {
                    "name_km": "មេត្តា កញ្ញា",
                    "member_id": "P01-123456",
                    "member_since": "2019",
                },
                "metadata": {},
                "individual": {
                    "address": "#87, Street 63 (Trasak Paem), Sangkat Boeung Raing, "
                    "Khan Daun Penh, Phnom Penh, Cambodia",
                    "date_of_birth": "2002-04-09",
                    "identity_document_number": "A123456789",
                    "identity_document_type": "id_card",
                },
            },
        }
    ],
    "links": {
        "prev": "http://example.org/v1/cardholders"
        "?page%5Bbefore%5D=5afe1876-665e-49e9-a744-933c30c55312",
        "next": None,
    },
}

CARDHOLDER: Final[dict[str, object]] = {
    "data": {
        "id": "23cf351b-cb6c-461b-9e3b-1aee4343efb1",
        "type": "cardholder",
        "attributes": {
            "created_at": "2020-04-09T12:20:10Z",
            "updated_at": "2020-04-09T12:20:10Z",
            "name": "Meta Kanha",
            "phone_number": "855715100860",
            "email": None,
            "type": "individual",
            "status": "active",
            "additional_details": {
                "name_km": "មេត្តា កញ្ញា",
                "member_id": "P01-123456",
                "member_since": "2019",
            },
            "metadata": {},
            "individual": {
                "address": "#87, Street 63 (Trasak Paem), Sangkat Boeung Raing, "
                "Khan Daun Penh, Phnom Penh, Cambodia",
                "date_of_birth": "2002-04-09",
                "identity_document_number": "A123456789",
                "identity_document_type": "id_card",
            },
        },
    }
}

UPDATE_CARDHOLDER: Final[dict[str, object]] = {
    "data": {
        "type": "cardholder",
        "id": "cbb70587-04d2-4301-8ee3-f51d453b0625",
        "attributes": {
            "name": "Tang Dara",
            "phone_number": "855715100860",
            "individual": {
                "address": "new address",
                "remote_photo_url": "https://via.placeholder.com/150.png",
                "remote_identity_document_url": "https://via.placeholder.com/600.png",
            },
            "additional_details": {"member_since": "2017"},
            "metadata": {"foobar": "foobar"},
        },
    }
}
UPDATED_CARDHOLDER: Final[dict[str, object]] = {
    "data": {
        "id": "cbb70587-04d2-4301-8ee3-f51d453b0625",
        "type": "cardholder",
        "attributes": {
            "created_at": "2020-04-09T12:20:10Z",
            "updated_at": "2020-04-09T12:20:10Z",
            "name": "Tang Dara",
            "phone_number": "855715100860",
            "email": None,
            "type": "individual",
            "status": "processing_profile",
            "additional_details": {
                "name_km": "តាំង តារា",
                "member_id": "P01-123456",
                "member_since": "2017",
            },
            "metadata": {"foo": "bar", "foobar": "foobar"},
            "individual": {
                "address": "new address",
                "date_of_birth": "2016-12-20",
                "identity_document_number": "123456789",
                "identity_document_type": "id_card",
            },
        },
    }
}

CREATE_CARD: Final[dict[str, object]] = {
    "data": {
        "type": "card",
        "attributes": {"type": "physical"},
        "relationships": {
            "account": {"data": {"id": "57e442d9-3bb5-4c97-833e-b29dfdff7546", "type": "account"}}
        },
    }
}
CREATED_CARD: Final[dict[str, object]] = {
    "data": {
        "id": "4605181d-5661-4de3-8fe8-d895a311d918",
        "type": "card",
        "attributes": {
            "created_at": "2020-04-09T12:20:10Z",
            "updated_at": "2020-04-09T12:20:10Z",
            "last_four": "1178",
            "exp_month": 4,
            "exp_year": 2023,
            "status": "unactivated",
            "type": "physical",
        },
        "relationships": {
            "account": {"data": {"id": "57e442d9-3bb5-4c97-833e-b29dfdff7546", "type": "account"}}
        },
    }
}

CREATE_MANAGEMENT_TOKEN: Final[dict[str, object]] = {
    "data": {"type": "card_management_token", "attributes": {"type": "card_activation"}}
}
MANAGEMENT_TOKEN: Final[dict[str, object]] = {
    "data": {
        "id": "8a49706f-d989-45b2-bd46-6e109625902f",
        "type": "card_management_token",
        "attributes": {
            "created_at": "2020-04-09T12:20:10Z",
            "updated_at": "2020-04-09T12:20:10Z",
            "expires_at": "2020-04-09T12:30:10Z",
            "type": "card_activation",
            "url": "https://cms-sandbox.bongloy.com/card_activation/new"
            "?token=YzFq4xV9jq8juEgUxrAP8eB1zRsoAVAu54qBHl0Sbzs",
        },
    }
}

CARDS: Final[dict[str, object]] = {
    "data": [
        {
            "id": "2a480f67-52b2-43a0-9e2a-b04a7566d2f3",
            "type": "card",
            "attributes": {
                "created_at": "2020-04-09T12:20:10Z",
                "updated_at": "2020-04-09T12:20:10Z",
                "last_four": "2345",
                "exp_month": 4,
                "exp_year": 2023,
                "status": "active",
                "type": "physical",
            },
            "relationships": {
                "account": {
                    "data": {"id": "b1459539-8ab6-45f2-bde0-77422f967253", "type": "account"}
                }
            },
        },
        {
            "id": "ea9d5608-8b4f-4bae-a169-3a40301f6d19",
            "type": "card",
            "attributes": {
                "created_at": "2020-04-09T12:20:10Z",
                "updated_at": "2020-04-09T12:20:10Z",
                "last_four": "2345",
                "exp_month": 4,
                "exp_year": 2023,
                "status": "active",
                "type": "physical",
            },
            "relationships": {
                "account": {
                    "data": {"id": "6b2f38d8-d1b2-4a98-8960-412a7e4c8354", "type": "account"}
                }
            },
        },
    ],
    "links": {
        "prev": "http://example.org/v1/cards?page%5Bbefore%5D=2a480f67-52b2-43a0-9e2a-b04a7566d2f3",
        "next": None,
    },
}

CARD: Final[dict[str, object]] = {
    "data": {
        "id": "2828a2ad-ff2c-46df-8189-fa88f1b96564",
        "type": "card",
        "attributes": {
            "created_at": "2020-04-09T12:20:10Z",
            "updated_at": "2020-04-09T12:20:10Z",
            "last_four": "2345",
            "exp_month": 4,
            "exp_year": 2023,
            "status": "active",
            "type": "physical",
        },
        "relationships": {
            "account": {"data": {"id": "6f1251ad-6a26-4f32-90a6-845dbe19a156", "type": "account"}}
        },
    }
}

UPDATE_CARD: Final[dict[str, object]] = {
    "data": {
        "attributes": {"status": "inactive"},
        "type": "card",
        "id": "7803f448-4224-406f-a992-9140eff7a21d",
    }
}
"""The document says `"status": null` first, and then again: the last one counts."""
UPDATED_CARD: Final[dict[str, object]] = {
    "data": {
        "id": "7803f448-4224-406f-a992-9140eff7a21d",
        "type": "card",
        "attributes": {
            "created_at": "2020-04-09T12:20:10Z",
            "updated_at": "2020-04-09T12:20:10Z",
            "last_four": "2345",
            "exp_month": 4,
            "exp_year": 2023,
            "status": "inactive",
            "type": "physical",
        },
        "relationships": {
            "account": {"data": {"id": "8469bb12-7366-4b74-b1f4-cb53b6ae08f0", "type": "account"}}
        },
    }
}

EVENTS: Final[dict[str, object]] = {
    "data": [
        {
            "id": "c27668b0-598f-4f11-a2a7-9a1c9ad816b4",
            "type": "event",
            "attributes": {
                "created_at": "2020-04-09T12:20:11Z",
                "updated_at": "2020-04-09T12:20:11Z",
                "type": "transaction.created",
                "details": {
                    "data": {
                        "id": "e389a19a-ac21-4624-9cd7-acb7005144dc",
                        "type": "transaction",
                        "attributes": {
                            "fees": [],
                            "type": "purchase",
                            "amount": 1000,
                            "status": "settled",
                            "currency": "USD",
                            "total_fee": 0,
                            "created_at": "2020-04-09T12:20:11Z",
                            "updated_at": "2020-04-09T12:20:11Z",
                            "settlement_time": "2020-04-09T12:20:11Z",
                            "transaction_time": "2020-04-09T12:20:11Z",
                            "transaction_amount": 1000,
                            "transaction_number": "950753538637",
                            "transaction_details": {
                                "card": {
                                    "merchant_data": {
                                        "city": "Phnom Penh",
                                        "name": "Rocket Rides",
                                        "country": "KH",
                                        "category": "taxicabs_limousines",
                                    }
                                },
                                "type": "card",
                            },
                            "transaction_currency": "USD",
                            "balance_adjustment_type": "debit",
                        },
                        "relationships": {
                            "account": {
                                "data": {
                                    "id": "b7c0a33f-30f8-4087-8971-9ab013aad33c",
                                    "type": "account",
                                }
                            }
                        },
                    }
                },
            },
        },
        {
            "id": "dbf0697a-c1a0-460b-9257-fcb7269555ba",
            "type": "event",
            "attributes": {
                "created_at": "2020-04-09T12:20:11Z",
                "updated_at": "2020-04-09T12:20:11Z",
                "type": "transaction.created",
                "details": {
                    "data": {
                        "id": "0737d715-6edb-4581-b12d-4c867e169a83",
                        "type": "transaction",
                        "attributes": {
                            "fees": [],
                            "type": "purchase",
                            "amount": 1000,
                            "status": "settled",
                            "currency": "USD",
                            "total_fee": 0,
                            "created_at": "2020-04-09T12:20:10Z",
                            "updated_at": "2020-04-09T12:20:10Z",
                            "settlement_time": "2020-04-09T12:20:10Z",
                            "transaction_time": "2020-04-09T12:20:10Z",
                            "transaction_amount": 1000,
                            "transaction_number": "815257624651",
                            "transaction_details": {
                                "card": {
                                    "merchant_data": {
                                        "city": "Phnom Penh",
                                        "name": "Rocket Rides",
                                        "country": "KH",
                                        "category": "taxicabs_limousines",
                                    }
                                },
                                "type": "card",
                            },
                            "transaction_currency": "USD",
                            "balance_adjustment_type": "debit",
                        },
                        "relationships": {
                            "account": {
                                "data": {
                                    "id": "3a5ffda3-a820-4d0f-a141-767be3b0c3f6",
                                    "type": "account",
                                }
                            }
                        },
                    }
                },
            },
        },
    ],
    "links": {
        "prev": "http://example.org/v1/events"
        "?page%5Bbefore%5D=c27668b0-598f-4f11-a2a7-9a1c9ad816b4",
        "next": None,
    },
}

EVENT: Final[dict[str, object]] = {
    "data": {
        "id": "5889cf0f-1e74-41ba-81a0-015eebda74de",
        "type": "event",
        "attributes": {
            "created_at": "2020-04-09T12:20:11Z",
            "updated_at": "2020-04-09T12:20:11Z",
            "type": "transaction.created",
            "details": {
                "data": {
                    "id": "22717994-020e-4015-b6e6-97f951d265be",
                    "type": "transaction",
                    "attributes": {
                        "fees": [],
                        "type": "purchase",
                        "amount": 1000,
                        "status": "settled",
                        "currency": "USD",
                        "total_fee": 0,
                        "created_at": "2020-04-09T12:20:11Z",
                        "updated_at": "2020-04-09T12:20:11Z",
                        "settlement_time": "2020-04-09T12:20:11Z",
                        "transaction_time": "2020-04-09T12:20:11Z",
                        "transaction_amount": 1000,
                        "transaction_number": "512691568702",
                        "transaction_details": {
                            "card": {
                                "merchant_data": {
                                    "city": "Phnom Penh",
                                    "name": "Rocket Rides",
                                    "country": "KH",
                                    "category": "taxicabs_limousines",
                                }
                            },
                            "type": "card",
                        },
                        "transaction_currency": "USD",
                        "balance_adjustment_type": "debit",
                    },
                    "relationships": {
                        "account": {
                            "data": {
                                "id": "70bbfe02-1311-4ff6-a20b-a38bf0ad9ac7",
                                "type": "account",
                            }
                        }
                    },
                }
            },
        },
    }
}

TRANSACTIONS: Final[dict[str, object]] = {
    "data": [
        {
            "id": "81215a56-6af3-43c1-a755-df5ffc2ca82e",
            "type": "transaction",
            "attributes": {
                "created_at": "2020-04-09T12:20:11Z",
                "updated_at": "2020-04-09T12:20:11Z",
                "currency": "USD",
                "transaction_number": "770056540520",
                "transaction_currency": "USD",
                "transaction_details": {
                    "card": {
                        "merchant_data": {
                            "city": "Phnom Penh",
                            "name": "Rocket Rides",
                            "country": "KH",
                            "category": "taxicabs_limousines",
                        }
                    },
                    "type": "card",
                },
                "type": "cash_withdrawal",
                "fees": [{"type": "interbank_cash_withdrawal", "amount": 300, "currency": "USD"}],
                "status": "settled",
                "balance_adjustment_type": "debit",
                "amount": 10000,
                "total_fee": 0,
                "transaction_amount": 1000,
                "transaction_time": "2020-01-01T01:00:00Z",
                "settlement_time": "2020-01-01T01:00:00Z",
            },
            "relationships": {
                "account": {
                    "data": {"id": "174a7f39-49fa-4972-a996-6420b64bd957", "type": "account"}
                },
                "card": {"data": {"id": "27819e52-9884-4a61-8dbb-bf15fc8c94e3", "type": "card"}},
            },
        },
        {
            "id": "43b04868-4b69-47be-96ac-785edc9ee5df",
            "type": "transaction",
            "attributes": {
                "created_at": "2020-04-09T12:20:11Z",
                "updated_at": "2020-04-09T12:20:11Z",
                "currency": "USD",
                "transaction_number": "787115539215",
                "transaction_currency": "USD",
                "transaction_details": {
                    "type": "topup",
                    "topup": {"funding_source": "Agent Network"},
                },
                "type": "purchase",
                "fees": [],
                "status": "settled",
                "balance_adjustment_type": "credit",
                "amount": 1000,
                "total_fee": 0,
                "transaction_amount": 1000,
                "transaction_time": "2020-01-01T07:00:00Z",
                "settlement_time": "2020-01-01T07:00:00Z",
            },
            "relationships": {
                "account": {
                    "data": {"id": "174a7f39-49fa-4972-a996-6420b64bd957", "type": "account"}
                }
            },
        },
        {
            "id": "998d5b28-a8dd-4fa6-89c0-c186cca6e4e7",
            "type": "transaction",
            "attributes": {
                "created_at": "2020-04-09T12:20:11Z",
                "updated_at": "2020-04-09T12:20:11Z",
                "currency": "USD",
                "transaction_number": "395231542132",
                "transaction_currency": "USD",
                "transaction_details": {
                    "card": {
                        "merchant_data": {
                            "city": "Phnom Penh",
                            "name": "Rocket Rides",
                            "country": "KH",
                            "category": "taxicabs_limousines",
                        }
                    },
                    "type": "card",
                },
                "type": "purchase",
                "fees": [],
                "status": "settled",
                "balance_adjustment_type": "debit",
                "amount": 1000,
                "total_fee": 0,
                "transaction_amount": 1000,
                "transaction_time": "2020-01-01T01:00:00Z",
                "settlement_time": "2020-01-01T01:00:00Z",
            },
            "relationships": {
                "account": {
                    "data": {"id": "174a7f39-49fa-4972-a996-6420b64bd957", "type": "account"}
                },
                "card": {"data": {"id": "27819e52-9884-4a61-8dbb-bf15fc8c94e3", "type": "card"}},
            },
        },
    ],
    "links": {
        "prev": "http://example.org/v1/transactions"
        "?filter%5Baccount%5D=174a7f39-49fa-4972-a996-6420b64bd957"
        "&filter%5Bfrom_date%5D=2020-01-01T00%3A00%3A00Z&filter%5Bstatus%5D=settled"
        "&filter%5Bto_date%5D=2020-01-01T12%3A00%3A00Z"
        "&page%5Bbefore%5D=81215a56-6af3-43c1-a755-df5ffc2ca82e",
        "next": None,
    },
}

TRANSACTION: Final[dict[str, object]] = {
    "data": {
        "id": "a0e8366c-4ff7-4480-a6bd-7ca2dfbc6f0f",
        "type": "transaction",
        "attributes": {
            "created_at": "2020-04-09T12:20:11Z",
            "updated_at": "2020-04-09T12:20:11Z",
            "currency": "USD",
            "transaction_number": "326072182882",
            "transaction_currency": "USD",
            "transaction_details": {
                "card": {
                    "merchant_data": {
                        "city": "Phnom Penh",
                        "name": "Rocket Rides",
                        "country": "KH",
                        "category": "taxicabs_limousines",
                    }
                },
                "type": "card",
            },
            "type": "purchase",
            "fees": [],
            "status": "settled",
            "balance_adjustment_type": "debit",
            "amount": 1000,
            "total_fee": 0,
            "transaction_amount": 1000,
            "transaction_time": "2020-04-09T12:20:11Z",
            "settlement_time": "2020-04-09T12:20:11Z",
        },
        "relationships": {
            "account": {"data": {"id": "28790910-d5ad-4007-a439-aaac1db0d3c6", "type": "account"}},
            "card": {"data": {"id": "facc6682-b702-4a4f-b8da-89faf506a09c", "type": "card"}},
        },
    }
}


class Sample(NamedTuple):
    """One operation as the document shows it; `{id}` stands in its path where an id is wanted."""

    name: str
    method: str
    path: str
    status: int
    request: Mapping[str, object] | None
    answer: Mapping[str, object]


OPERATIONS: Final = (
    Sample("retrieve_balance", "GET", "/v1/accounts/{id}/balance", 200, None, BALANCE),
    Sample("create_account", "POST", "/v1/accounts", 201, CREATE_ACCOUNT, CREATED_ACCOUNT),
    Sample("list_accounts", "GET", "/v1/accounts", 200, None, ACCOUNTS),
    Sample("retrieve_account", "GET", "/v1/accounts/{id}", 200, None, ACCOUNT),
    Sample("update_account", "PATCH", "/v1/accounts/{id}", 200, UPDATE_ACCOUNT, UPDATED_ACCOUNT),
    Sample(
        "create_cardholder", "POST", "/v1/cardholders", 202, CREATE_CARDHOLDER, CREATED_CARDHOLDER
    ),
    Sample("list_cardholders", "GET", "/v1/cardholders", 200, None, CARDHOLDERS),
    Sample("retrieve_cardholder", "GET", "/v1/cardholders/{id}", 200, None, CARDHOLDER),
    Sample(
        "update_cardholder",
        "PATCH",
        "/v1/cardholders/{id}",
        202,
        UPDATE_CARDHOLDER,
        UPDATED_CARDHOLDER,
    ),
    Sample("create_card", "POST", "/v1/cards", 201, CREATE_CARD, CREATED_CARD),
    Sample(
        "create_management_token",
        "POST",
        "/v1/cards/{id}/management_tokens",
        201,
        CREATE_MANAGEMENT_TOKEN,
        MANAGEMENT_TOKEN,
    ),
    Sample("list_cards", "GET", "/v1/cards", 200, None, CARDS),
    Sample("retrieve_card", "GET", "/v1/cards/{id}", 200, None, CARD),
    Sample("update_card", "PATCH", "/v1/cards/{id}", 200, UPDATE_CARD, UPDATED_CARD),
    Sample("list_events", "GET", "/v1/events", 200, None, EVENTS),
    Sample("retrieve_event", "GET", "/v1/events/{id}", 200, None, EVENT),
    Sample("list_transactions", "GET", "/v1/transactions", 200, None, TRANSACTIONS),
    Sample("retrieve_transaction", "GET", "/v1/transactions/{id}", 200, None, TRANSACTION),
)
"""Every operation, in the order of the document."""
