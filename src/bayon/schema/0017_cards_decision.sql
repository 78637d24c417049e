-- Whom an issuer has asked before a card of its own is decided on, and what signs the question.
-- decision: {"url", "timeout_ms", "default"}
ALTER TABLE cards.issuer
    ADD COLUMN decision json,
    ADD COLUMN decision_secret_sealed bytea,
    ADD CHECK ((decision IS NULL) = (decision_secret_sealed IS NULL));
