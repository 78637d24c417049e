-- Cards a bureau is told to make, in one file; `cards` is how many. Written before the file is, so that
-- what was killed in between is known and its file can be made again.
CREATE TABLE cards.production_batch (
    id uuid PRIMARY KEY,
    issuer_id uuid NOT NULL REFERENCES cards.issuer,
    cards int NOT NULL CHECK (cards > 0),
    created_at timestamptz NOT NULL
);

CREATE INDEX production_batch_created ON cards.production_batch (created_at, id);

-- Every file that may have left with a batch's card numbers, and whose key opens it. digest: SHA-256 of
-- the file, enciphered as it is. written_at: null until it is whole on the disk.
CREATE TABLE cards.production_file (
    id uuid PRIMARY KEY,
    batch_id uuid NOT NULL REFERENCES cards.production_batch,
    recipient text NOT NULL,
    digest bytea NOT NULL CHECK (length(digest) = 32),
    begun_at timestamptz NOT NULL,
    written_at timestamptz
);

CREATE INDEX production_file_batch ON cards.production_file (batch_id);

-- A physical card that is to be made, written with the card; what was imported has plastic already, and
-- no row. batch_id: null while it waits; a card is in one batch at most. embossed: the name that then
-- went onto it.
CREATE TABLE cards.production_order (
    card_id uuid PRIMARY KEY REFERENCES cards.card,
    issuer_id uuid NOT NULL REFERENCES cards.issuer,
    batch_id uuid REFERENCES cards.production_batch,
    embossed text,
    CHECK ((batch_id IS NULL) = (embossed IS NULL))
);

CREATE INDEX production_order_waiting ON cards.production_order (issuer_id, card_id)
    WHERE batch_id IS NULL;

CREATE INDEX production_order_batch ON cards.production_order (batch_id, card_id)
    WHERE batch_id IS NOT NULL;

-- An imported card was active at once: these were ordered.
INSERT INTO cards.production_order (card_id, issuer_id)
SELECT id, issuer_id FROM cards.card WHERE type = 'physical' AND status = 'unactivated';
