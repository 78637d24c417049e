-- What nobody could match is worked off by a person: closed, with a note. reason: why it was kept.
-- remaining_minor: what a reversal leaves of its original, if it says so.
ALTER TABLE cards.unmatched
    ADD COLUMN reason text,
    ADD COLUMN remaining_minor bigint,
    ADD COLUMN closed_at timestamptz,
    ADD COLUMN note text;

DROP INDEX cards.unmatched_created;

CREATE INDEX unmatched_open ON cards.unmatched (created_at, id) WHERE closed_at IS NULL;

ALTER TABLE cards.clearing_record
    ADD COLUMN closed_at timestamptz,
    ADD COLUMN note text;

DROP INDEX cards.clearing_record_open;

CREATE INDEX clearing_record_open ON cards.clearing_record (created_at, file_id, place)
WHERE state IN ('unmatched', 'parked', 'rejected') AND closed_at IS NULL;
