-- When a pending transaction's hold is given back, if it was not cleared by then.
ALTER TABLE cards.transaction ADD COLUMN expires_at timestamptz;

CREATE INDEX transaction_due ON cards.transaction (expires_at) WHERE status = 'pending';
