-- What all HTTP doors share: access tokens.

CREATE SCHEMA web;

-- digest: SHA-256 of the token, which itself is nowhere. owner: the participant, integrator or
-- issuer who bears it.
CREATE TABLE web.access_token (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('participant', 'integrator', 'issuer')),
    owner text NOT NULL,
    digest bytea NOT NULL UNIQUE CHECK (length(digest) = 32),
    label text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz
);

CREATE INDEX access_token_owner ON web.access_token (kind, owner, created_at);
