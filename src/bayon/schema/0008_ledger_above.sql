-- By how much a capture went above what its hold still had, or what was posted without a hold above
-- what was available. A customer owes at most the sum of it.
ALTER TABLE ledger.transfer
    ADD COLUMN above_minor bigint NOT NULL DEFAULT 0 CHECK (above_minor BETWEEN 0 AND amount_minor);
