-- Zone PIN keys that a link's network has sent, each as the key block it came in: without the key that
-- protects blocks it is none. upon: the check value of the configured key it came after.
CREATE TABLE cards.zone_key (
    link text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    block text NOT NULL,
    upon text NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (link, version),
    UNIQUE (link, block)
);
