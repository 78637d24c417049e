-- Webhooks: who is told of events, what is still to be told, and what came of each attempt.

-- endpoint_seq: the number of endpoints this owner has had, as `seq` is of events.
ALTER TABLE events.counter ADD COLUMN endpoint_seq bigint NOT NULL DEFAULT 0;

-- event_types: which are told; none: all but declines. disabled_reason: why we disabled it, null
-- where its owner did. void_before: what was to be told by then is void. rests_until: it has asked
-- to be left alone until then. failing_since: no attempt has succeeded since.
--
-- This row is the lock of all that is to be told to it: who changes a delivery holds it (emitting
-- only adds). So it is not referenced, because that would lock it too.
CREATE TABLE events.endpoint (
    id uuid PRIMARY KEY,
    owner_id uuid NOT NULL,
    seq bigint NOT NULL,
    url text NOT NULL,
    event_types text[] NOT NULL,
    enabled boolean NOT NULL,
    disabled_reason text,
    secret_sealed bytea NOT NULL,
    previous_secret_sealed bytea,
    previous_until timestamptz,
    void_before timestamptz,
    rests_until timestamptz,
    failing_since timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE UNIQUE INDEX endpoint_owner ON events.endpoint (owner_id, seq);

-- An event that is told to an endpoint: due, delivered, failed for good, or voided (the endpoint is
-- gone or disabled). next_at: when it is tried next; a claim moves it ahead, so that what a dead
-- worker had claimed comes due again; null where an older one of its resource holds it back.
-- attempts: how many have failed. subject_id, seq: the event's.
CREATE TABLE events.delivery (
    event_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    seq bigint NOT NULL,
    state text NOT NULL,
    attempts int NOT NULL,
    next_at timestamptz,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (event_id, endpoint_id)
);

-- The queue of each endpoint, and within it of each resource.
CREATE INDEX delivery_due ON events.delivery (endpoint_id, next_at, seq) WHERE state = 'due';

CREATE INDEX delivery_subject ON events.delivery (endpoint_id, subject_id, seq)
WHERE state = 'due';

-- Kept for ever, also of endpoints that are gone. error: why there was no answer.
CREATE TABLE events.delivery_attempt (
    id uuid PRIMARY KEY,
    event_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    attempted_at timestamptz NOT NULL,
    status_code int,
    duration_ms int NOT NULL,
    error text,
    response_excerpt text
);

CREATE INDEX delivery_attempt_event ON events.delivery_attempt (event_id, id);
