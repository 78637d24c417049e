-- Clearing files that were imported, each once, by the digest of its content. totals: its control
-- totals by currency and direction. finished_at: null until every record has its state, so that an
-- import that was cut short goes on where it was.
CREATE TABLE cards.clearing_file (
    id uuid PRIMARY KEY,
    digest bytea NOT NULL UNIQUE CHECK (length(digest) = 32),
    name text NOT NULL,
    form text NOT NULL CHECK (form IN ('csv', 'ipm')),
    records int NOT NULL,
    totals json NOT NULL,
    imported_at timestamptz NOT NULL,
    finished_at timestamptz
);

CREATE INDEX clearing_file_imported ON cards.clearing_file (imported_at, id);

-- What became of each record, written in the transaction that posts it. key: what it is, in
-- whichever file it comes. posted_minor: what it came to on the account, in posted_currency.
-- difference_minor: how much more was cleared than had been authorised, in the merchant's currency.
-- Of the card number there is its keyed digest, and its last four digits.
CREATE TABLE cards.clearing_record (
    file_id uuid NOT NULL REFERENCES cards.clearing_file (id),
    place int NOT NULL,
    line int NOT NULL,
    key bytea NOT NULL CHECK (length(key) = 32),
    state text NOT NULL CHECK (state IN ('matched', 'unmatched', 'reconciled', 'refunded',
        'duplicate', 'parked', 'rejected', 'noted')),
    reason text,
    kind text NOT NULL,
    adjustment text CHECK (adjustment IN ('debit', 'credit')),
    currency text,
    amount_minor bigint,
    posted_currency text,
    posted_minor bigint,
    difference_minor bigint,
    transaction_id uuid,
    pan_digest bytea,
    last_four text,
    reference text,
    rrn text,
    approval_code text,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (file_id, place)
);

CREATE UNIQUE INDEX clearing_record_key ON cards.clearing_record (key)
WHERE state <> 'duplicate';

-- A transaction is told of by one record.
CREATE UNIQUE INDEX clearing_record_transaction ON cards.clearing_record (transaction_id)
WHERE transaction_id IS NOT NULL;

CREATE INDEX clearing_record_open ON cards.clearing_record (created_at, file_id, place)
WHERE state IN ('unmatched', 'parked', 'rejected');
