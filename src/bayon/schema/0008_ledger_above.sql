-- By how much a capture went above what its hold still had: all that can overdraw a customer.
ALTER TABLE ledger.transfer
    ADD COLUMN above_minor bigint NOT NULL DEFAULT 0 CHECK (above_minor BETWEEN 0 AND amount_minor);
