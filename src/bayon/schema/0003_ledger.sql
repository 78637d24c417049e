-- The ledger: accounts, their balances, transfers between two of them, and holds.
-- An account's balance is what it was credited less what it was debited; all balances of one
-- currency add up to nothing, because every transfer has exactly one debit and one credit.

CREATE SCHEMA ledger;

CREATE TABLE ledger.account (
    id uuid PRIMARY KEY,
    currency text NOT NULL CHECK (currency IN ('USD', 'KHR')),
    -- customer: never overdrawn. system: our own side (funding, settlement, fees), no limit.
    kind text NOT NULL CHECK (kind IN ('customer', 'system')),
    -- A system account has a well-known name; a customer account is known by its id alone.
    name text UNIQUE,
    created_at timestamptz NOT NULL
);

-- A customer account has slot 0. A system account has slots 1 to 8: a process takes one, so that
-- processes do not wait for each other; the balance is their sum.
CREATE TABLE ledger.balance (
    account_id uuid NOT NULL REFERENCES ledger.account,
    slot smallint NOT NULL CHECK (slot BETWEEN 0 AND 8),
    posted_minor bigint NOT NULL DEFAULT 0,
    held_minor bigint NOT NULL DEFAULT 0 CHECK (held_minor >= 0),
    PRIMARY KEY (account_id, slot)
) WITH (fillfactor = 50);

-- No foreign keys to account: they would take a share lock on a hot account for every row. The
-- batch has both accounts locked when it writes, and `bayon check` looks again.
CREATE TABLE ledger.transfer (
    id uuid PRIMARY KEY,
    debit_account_id uuid NOT NULL,
    credit_account_id uuid NOT NULL CHECK (credit_account_id <> debit_account_id),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    -- What brought it about: a payment, a deposit, a clearing.
    cause_id uuid NOT NULL,
    hold_id uuid,
    created_at timestamptz NOT NULL,
    occurred_at timestamptz NOT NULL
);

CREATE INDEX transfer_debit ON ledger.transfer (debit_account_id, id);

CREATE INDEX transfer_credit ON ledger.transfer (credit_account_id, id);

CREATE INDEX transfer_cause ON ledger.transfer (cause_id);

CREATE TABLE ledger.hold (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES ledger.account,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    -- Still reserved: what was not yet captured, released or expired. Nothing once it is closed.
    open_minor bigint NOT NULL CHECK (open_minor >= 0),
    state text NOT NULL CHECK (state IN ('open', 'captured', 'released', 'expired')),
    cause_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    CHECK ((state = 'open') = (open_minor > 0))
) WITH (fillfactor = 80);

CREATE INDEX hold_open ON ledger.hold (account_id) WHERE state = 'open';

CREATE INDEX hold_due ON ledger.hold (expires_at) WHERE state = 'open';
