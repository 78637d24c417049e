-- What a merchant's currency is worth in an account's: the operator's own, one for all issuers.
-- Rows are never changed: of a pair the one that started last counts, and of two that started at
-- the same instant the one written last. So a rate can be set ahead, and the past stays known.
-- rate: major units of to_code for one of from_code.
CREATE TABLE cards.rate (
    id uuid PRIMARY KEY,
    from_code text NOT NULL CHECK (from_code ~ '^[A-Z]{3}$'),
    to_code text NOT NULL CHECK (to_code ~ '^[A-Z]{3}$'),
    -- The upper bound keeps NaN and Infinity out too, which are above every number.
    rate numeric NOT NULL CHECK (rate > 0 AND rate < 1000000000),
    hold_pad_basis_points int NOT NULL CHECK (hold_pad_basis_points BETWEEN 0 AND 10000),
    starts_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    CHECK (from_code <> to_code)
);

CREATE INDEX rate_pair ON cards.rate (from_code, to_code, starts_at, id);
