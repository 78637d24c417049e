-- Issuers and what is theirs: cardholders, accounts, cards, transactions. Every row says whose it is.

CREATE SCHEMA cards;

-- bin: the first digits of the cards made for it. The ledger accounts are its own side: where
-- top-ups come from, what it owes the network, what it earns.
CREATE TABLE cards.issuer (
    id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE,
    bin text NOT NULL CHECK (bin ~ '^[0-9]{6,9}$'),
    -- {"interbank_cash_withdrawal": {"flat_minor": 300, "basis_points": 150}}
    fees json NOT NULL,
    funding_account_id uuid NOT NULL REFERENCES ledger.account,
    clearing_account_id uuid NOT NULL REFERENCES ledger.account,
    fees_account_id uuid NOT NULL REFERENCES ledger.account,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- The number of rows of an issuer so far. Raised when a batch writes its rows and locked until it
-- commits, so that `seq` is the order of commits: a list read from a seq on misses nothing.
CREATE TABLE cards.counter (
    issuer_id uuid PRIMARY KEY REFERENCES cards.issuer,
    seq bigint NOT NULL
) WITH (fillfactor = 10);

-- review_at: when the review is due; moved ahead by the worker who takes it, so that the review of
-- a worker that died is taken again. revision: which profile a review has seen.
CREATE TABLE cards.cardholder (
    id uuid PRIMARY KEY,
    issuer_id uuid NOT NULL REFERENCES cards.issuer,
    seq bigint NOT NULL,
    name text NOT NULL,
    phone_number text NOT NULL,
    email text,
    status text NOT NULL CHECK (status IN ('processing_profile', 'active', 'rejected')),
    rejection_reason text,
    born_on date NOT NULL,
    address text NOT NULL,
    identity_document_number text NOT NULL,
    identity_document_type text NOT NULL CHECK (identity_document_type IN ('id_card', 'passport')),
    photo_url text NOT NULL,
    identity_document_url text NOT NULL,
    additional_details json NOT NULL,
    metadata json NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    revision int NOT NULL,
    review_at timestamptz,
    review_attempts int NOT NULL,
    CHECK ((status = 'rejected') = (rejection_reason IS NOT NULL)),
    CHECK (review_at IS NULL OR status = 'processing_profile')
);

CREATE UNIQUE INDEX cardholder_issuer ON cards.cardholder (issuer_id, seq);

CREATE INDEX cardholder_review ON cards.cardholder (review_at) WHERE review_at IS NOT NULL;

-- Who waits for a person's decision.
CREATE INDEX cardholder_waiting ON cards.cardholder (issuer_id, updated_at)
    WHERE status = 'processing_profile' AND review_at IS NULL;

-- What a review fetched, sealed.
CREATE TABLE cards.document (
    cardholder_id uuid NOT NULL REFERENCES cards.cardholder,
    kind text NOT NULL CHECK (kind IN ('photo', 'identity_document')),
    media_type text NOT NULL,
    sealed bytea NOT NULL,
    fetched_at timestamptz NOT NULL,
    PRIMARY KEY (cardholder_id, kind)
);

CREATE TABLE cards.account (
    id uuid PRIMARY KEY,
    issuer_id uuid NOT NULL REFERENCES cards.issuer,
    seq bigint NOT NULL,
    cardholder_id uuid NOT NULL REFERENCES cards.cardholder,
    -- The issuer's own: six digits.
    number text NOT NULL CHECK (number ~ '^[0-9]{6}$'),
    currency text NOT NULL CHECK (currency = 'USD'),
    status text NOT NULL CHECK (status IN ('active', 'inactive')),
    metadata json NOT NULL,
    ledger_account_id uuid NOT NULL UNIQUE REFERENCES ledger.account,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE UNIQUE INDEX account_number ON cards.account (issuer_id, number);

CREATE UNIQUE INDEX account_issuer ON cards.account (issuer_id, seq);

CREATE INDEX account_cardholder ON cards.account (cardholder_id, seq);

-- pan_sealed opens for this card only; pan_digest (keyed) finds it; last_four is all that is shown.
-- A PIN is here as its PVV only; pin_tries counts the wrong ones since the last right one.
CREATE TABLE cards.card (
    id uuid PRIMARY KEY,
    issuer_id uuid NOT NULL REFERENCES cards.issuer,
    seq bigint NOT NULL,
    account_id uuid NOT NULL REFERENCES cards.account,
    cardholder_id uuid NOT NULL REFERENCES cards.cardholder,
    type text NOT NULL CHECK (type IN ('physical', 'virtual')),
    status text NOT NULL
        CHECK (status IN ('unactivated', 'active', 'inactive', 'canceled', 'lost', 'stolen')),
    last_four text NOT NULL CHECK (last_four ~ '^[0-9]{4}$'),
    exp_month smallint NOT NULL CHECK (exp_month BETWEEN 1 AND 12),
    exp_year smallint NOT NULL,
    pan_sealed bytea NOT NULL,
    pan_digest bytea NOT NULL UNIQUE CHECK (length(pan_digest) = 32),
    pvv text CHECK (pvv ~ '^[0-9]{4}$'),
    pin_tries smallint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
) WITH (fillfactor = 80);

CREATE UNIQUE INDEX card_issuer ON cards.card (issuer_id, seq);

CREATE INDEX card_cardholder ON cards.card (cardholder_id, seq);

-- digest: SHA-256 of the token, which itself is nowhere. At most one of a card and type is open.
CREATE TABLE cards.management_token (
    id uuid PRIMARY KEY,
    issuer_id uuid NOT NULL REFERENCES cards.issuer,
    card_id uuid NOT NULL REFERENCES cards.card,
    type text NOT NULL CHECK (type IN ('card_activation', 'pin_reset')),
    digest bytea NOT NULL UNIQUE CHECK (length(digest) = 32),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    voided_at timestamptz
);

CREATE UNIQUE INDEX management_token_open ON cards.management_token (card_id, type)
    WHERE used_at IS NULL AND voided_at IS NULL;

-- No foreign keys: they would take a share lock on a hot account for every row. The batch has the
-- card locked when it writes, and `bayon check` looks again.
-- amount_minor: the whole effect on the account, fees included; transaction_amount_minor: what the
-- merchant asked for, in its currency. late: written well after it happened, so that a list by time
-- finds it by its own index.
CREATE TABLE cards.transaction (
    id uuid PRIMARY KEY,
    issuer_id uuid NOT NULL,
    seq bigint NOT NULL,
    account_id uuid NOT NULL,
    card_id uuid,
    number text NOT NULL CHECK (number ~ '^[0-9]{12}$'),
    type text NOT NULL CHECK (type IN ('purchase', 'cash_withdrawal')),
    status text NOT NULL
        CHECK (status IN ('pending', 'settled', 'reversed', 'expired', 'declined')),
    balance_adjustment_type text NOT NULL CHECK (balance_adjustment_type IN ('debit', 'credit')),
    currency text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    transaction_currency text NOT NULL,
    transaction_amount_minor bigint NOT NULL CHECK (transaction_amount_minor >= 0),
    -- [{"type", "amount_minor", "currency"}, ...]
    fees json NOT NULL,
    -- {"name", "city", "country", "category", "mcc"} of a card's transaction
    merchant json,
    funding_source text,
    decline_reason text,
    hold_id uuid,
    occurred_at timestamptz NOT NULL,
    settled_at timestamptz,
    late boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    -- When a pending transaction's hold is given back, if it was not cleared by then.
    expires_at timestamptz,
    CHECK ((status = 'declined') = (decline_reason IS NOT NULL)),
    CHECK ((status = 'settled') = (settled_at IS NOT NULL)),
    CHECK ((merchant IS NULL) = (funding_source IS NOT NULL))
) WITH (fillfactor = 90);

CREATE UNIQUE INDEX transaction_number ON cards.transaction (issuer_id, number);

-- occurred_at stands last, so that a list by time passes over rows without looking at them.
CREATE INDEX transaction_issuer ON cards.transaction
    (issuer_id, status, balance_adjustment_type, seq, occurred_at);

CREATE INDEX transaction_account ON cards.transaction
    (account_id, status, balance_adjustment_type, seq, occurred_at);

CREATE INDEX transaction_card ON cards.transaction
    (card_id, status, balance_adjustment_type, seq, occurred_at) WHERE card_id IS NOT NULL;

CREATE INDEX transaction_created ON cards.transaction (issuer_id, created_at, seq);

CREATE INDEX transaction_late_issuer ON cards.transaction
    (issuer_id, status, balance_adjustment_type, seq, occurred_at) WHERE late;

CREATE INDEX transaction_late_account ON cards.transaction
    (account_id, status, balance_adjustment_type, seq, occurred_at) WHERE late;

CREATE INDEX transaction_late_card ON cards.transaction
    (card_id, status, balance_adjustment_type, seq, occurred_at) WHERE late;

CREATE INDEX transaction_due ON cards.transaction (expires_at) WHERE status = 'pending';
