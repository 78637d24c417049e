-- By how much what was cleared, above its hold or without one, went above what was there. A customer
-- owes at most the sum of it.
ALTER TABLE ledger.transfer
    ADD COLUMN above_minor bigint NOT NULL DEFAULT 0 CHECK (above_minor BETWEEN 0 AND amount_minor);
