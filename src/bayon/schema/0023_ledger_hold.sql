-- A hold, like a transfer, is on an account of its batch, which is locked and so is there; to look it
-- up once more took a third of the time to write one.
ALTER TABLE ledger.hold DROP CONSTRAINT hold_account_id_fkey;

-- What is due is found by what it is held for: a transaction knows itself when it expires.
DROP INDEX ledger.hold_due;
