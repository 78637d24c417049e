-- What the card network calls a transaction, for what refers to it later. message_id: of the
-- identity of the message that made it. trace: what else it came with.
ALTER TABLE cards.transaction
    ADD COLUMN message_id uuid,
    ADD COLUMN rrn text,
    ADD COLUMN approval_code text,
    ADD COLUMN trace json;

CREATE INDEX transaction_message ON cards.transaction (message_id) WHERE message_id IS NOT NULL;

CREATE INDEX transaction_rrn ON cards.transaction (card_id, rrn) WHERE rrn IS NOT NULL;

CREATE INDEX transaction_approval ON cards.transaction (card_id, approval_code)
    WHERE approval_code IS NOT NULL;

-- Messages that cannot be declined and are about nothing we know. The number of a card that is none
-- of ours is not here, but its keyed digest, so that it is found should the card be imported.
CREATE TABLE cards.unmatched (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('reversal', 'advice', 'completion')),
    card_id uuid,
    pan_digest bytea,
    message_id uuid,
    rrn text,
    stan text,
    approval_code text,
    terminal text,
    acquirer text,
    currency text,
    amount_minor bigint,
    created_at timestamptz NOT NULL
);

CREATE INDEX unmatched_created ON cards.unmatched (created_at, id);
