-- Who waits for a person's decision on their profile.
CREATE INDEX cardholder_waiting ON cards.cardholder (issuer_id, updated_at)
    WHERE status = 'processing_profile' AND review_at IS NULL;
