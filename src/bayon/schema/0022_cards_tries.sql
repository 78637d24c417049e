-- How often in a row the code printed on a card was said wrong.
ALTER TABLE cards.card ADD COLUMN cvv2_tries smallint NOT NULL DEFAULT 0 CHECK (cvv2_tries >= 0);
