-- Callbacks: whom integrators have told where, and of which QRs.

-- An integrator's callback: the one endpoint of its events.
CREATE TABLE payments.callback (
    integrator_id text PRIMARY KEY,
    endpoint_id uuid NOT NULL,
    created_at timestamptz NOT NULL
);

-- An integrator who has asked for the status of a QR, or made a deeplink to it, while it had a
-- callback and the answer was not final: it is told. Kept when the callback is gone, for the next,
-- and forgotten long after it has last asked.
CREATE TABLE payments.listener (
    md5 bytea NOT NULL CHECK (length(md5) = 16),
    integrator_id text NOT NULL,
    asked_at timestamptz NOT NULL,
    PRIMARY KEY (md5, integrator_id)
);
CREATE INDEX listener_by_asked ON payments.listener (asked_at);
