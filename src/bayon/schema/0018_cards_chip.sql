-- The counter (ATC) of the last genuine use of a card's chip: one that is not above it came before.
ALTER TABLE cards.card ADD COLUMN atc integer NOT NULL DEFAULT 0 CHECK (atc BETWEEN 0 AND 65535);
