-- What a card, and an account with all its cards, may be used for and how much; null: whatever.
ALTER TABLE cards.account ADD COLUMN controls json;

ALTER TABLE cards.card ADD COLUMN controls json;

-- What was used on a day of Phnom Penh, of each card and account that has a limit a day.
-- subject_id: the card or the account. No foreign key: it may be either, and is locked or its own.
CREATE TABLE cards.usage (
    subject_id uuid NOT NULL,
    day date NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    count bigint NOT NULL CHECK (count >= 0),
    PRIMARY KEY (subject_id, day)
) WITH (fillfactor = 50);
