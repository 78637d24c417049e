-- By how much a hold, approved in our stead, went above what was there.
ALTER TABLE ledger.hold ADD COLUMN above_minor bigint NOT NULL DEFAULT 0 CHECK (above_minor >= 0);

CREATE INDEX hold_above ON ledger.hold (account_id) WHERE above_minor > 0;
