-- Stored answers: the same request again gets the same answer and has no second effect.

CREATE SCHEMA batch;

-- digest: SHA-256 of scope and key. body_hash: SHA-256 of the body without its secrets, such as a
-- PIN, which would be found from it by trying all. sealed: the answer, sealed.
-- Kept for ever: a key is as final as the money it moved.
CREATE TABLE batch.answer (
    digest bytea PRIMARY KEY CHECK (length(digest) = 32),
    body_hash bytea NOT NULL CHECK (length(body_hash) = 32),
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL
);
