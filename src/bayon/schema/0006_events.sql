-- Events: what is told to the outside, written in the transaction of its cause.

CREATE SCHEMA events;

-- The number of events of an owner so far. Raised when a batch writes its events and locked until
-- it commits, so that `seq` is the order of commits: a list read from a seq on misses nothing.
CREATE TABLE events.counter (
    owner_id uuid PRIMARY KEY,
    seq bigint NOT NULL
) WITH (fillfactor = 10);

-- owner_id: whose event it is (an issuer). subject_id: the resource it tells of. body: the event as
-- it is shown and sent, frozen; nobody here reads it.
CREATE TABLE events.event (
    id uuid PRIMARY KEY,
    owner_id uuid NOT NULL,
    seq bigint NOT NULL,
    type text NOT NULL,
    subject_id uuid NOT NULL,
    body bytea NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE UNIQUE INDEX event_owner ON events.event (owner_id, seq);

CREATE INDEX event_type ON events.event (owner_id, type, seq);

CREATE INDEX event_created ON events.event (owner_id, created_at, seq);

CREATE INDEX event_subject ON events.event (subject_id, seq);
