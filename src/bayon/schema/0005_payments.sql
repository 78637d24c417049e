-- Participants and their accounts, KHQR payments, deeplinks, and who may ask for their status.

CREATE SCHEMA payments;

CREATE TABLE payments.participant (
    id uuid PRIMARY KEY,
    -- What stands behind the @ of its accounts.
    code text NOT NULL UNIQUE CHECK (code ~ '^[a-z0-9]{2,16}$'),
    name text NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE payments.account (
    account_id text PRIMARY KEY CHECK (length(account_id) <= 32),
    participant_id uuid NOT NULL REFERENCES payments.participant,
    name text NOT NULL,
    -- The ledger accounts, one a currency it is open in.
    usd_account_id uuid REFERENCES ledger.account,
    khr_account_id uuid REFERENCES ledger.account,
    created_at timestamptz NOT NULL
);

CREATE INDEX account_participant ON payments.account (participant_id);

-- The number of payments so far. Raised when a batch writes its payments and locked until it
-- commits, so that `seq` is the order of commits: a list read from a seq on misses nothing.
CREATE TABLE payments.counter (
    one int PRIMARY KEY CHECK (one = 1),
    seq bigint NOT NULL
) WITH (fillfactor = 10);

INSERT INTO payments.counter (one, seq) VALUES (1, 0);

-- A dynamic QR that is taken: paid, or about to be. Declined and failed payments leave no row.
CREATE TABLE payments.qr_claim (
    md5 bytea PRIMARY KEY CHECK (length(md5) = 16)
);

CREATE TABLE payments.payment (
    id uuid PRIMARY KEY,
    seq bigint NOT NULL,
    hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    md5 bytea CHECK (length(md5) = 16),
    qr_kind text CHECK (qr_kind IN ('static', 'dynamic')),
    from_account_id text NOT NULL,
    from_participant_id uuid NOT NULL,
    to_account_id text NOT NULL,
    -- Null where the receiver does not exist, which is a decline.
    to_participant_id uuid,
    currency text NOT NULL CHECK (currency IN ('USD', 'KHR')),
    amount_minor bigint NOT NULL,
    description text,
    instruction_ref text,
    external_ref text,
    receiver_bank text,
    receiver_bank_account text,
    state text NOT NULL CHECK (state IN ('declined', 'pending', 'succeeded', 'failed')),
    decline_reason text,
    created_at timestamptz NOT NULL,
    acknowledged_at timestamptz,
    refunded_at timestamptz,
    -- A pending payment: the funds held, when it completes and how.
    hold_id uuid,
    due_at timestamptz,
    due_state text CHECK (due_state IN ('succeeded', 'failed')),
    CHECK ((state = 'declined') = (decline_reason IS NOT NULL)),
    CHECK ((state = 'pending') = (due_at IS NOT NULL)),
    CHECK ((md5 IS NULL) = (qr_kind IS NULL))
) WITH (fillfactor = 90);

CREATE INDEX payment_md5_succeeded ON payments.payment (md5, seq) WHERE state = 'succeeded';

CREATE INDEX payment_md5_failed ON payments.payment (md5, seq) WHERE state = 'failed';

CREATE INDEX payment_instruction_ref ON payments.payment (instruction_ref, seq)
    WHERE instruction_ref IS NOT NULL;

CREATE INDEX payment_external_ref ON payments.payment (external_ref, seq)
    WHERE external_ref IS NOT NULL;

CREATE INDEX payment_due ON payments.payment (due_at) WHERE state = 'pending';

CREATE INDEX payment_from ON payments.payment (from_participant_id, seq);

CREATE INDEX payment_to ON payments.payment (to_participant_id, seq);

CREATE INDEX payment_from_account ON payments.payment (from_account_id, seq);

CREATE INDEX payment_to_account ON payments.payment (to_account_id, seq);

CREATE TABLE payments.deeplink (
    slug text PRIMARY KEY CHECK (length(slug) = 17),
    qr text NOT NULL,
    app_name text,
    app_icon_url text,
    app_callback_url text,
    created_at timestamptz NOT NULL
);

-- A developer's project, registered by e-mail. sending: the mail is on its way (void after a
-- minute); sent: the code may be used; verified: it was.
CREATE TABLE payments.integrator (
    id text PRIMARY KEY CHECK (id ~ '^[0-9a-f]{16}$'),
    email text NOT NULL UNIQUE,
    organization text NOT NULL,
    project text NOT NULL,
    state text NOT NULL CHECK (state IN ('sending', 'sent', 'verified')),
    code_digest bytea UNIQUE CHECK (length(code_digest) = 32),
    code_expires_at timestamptz,
    requested_at timestamptz NOT NULL,
    verified_at timestamptz,
    CHECK ((state = 'verified') = (verified_at IS NOT NULL))
);

-- The sandbox's mail: what would have been sent, had BAYON_SMTP_URL been set.
CREATE TABLE payments.mail (
    id uuid PRIMARY KEY,
    recipient text NOT NULL,
    subject text NOT NULL,
    body text NOT NULL,
    sent_at timestamptz NOT NULL
);
