-- Not every owner's events are served as documents: bare ones are sent as their bytes are.

ALTER TABLE events.endpoint ADD COLUMN bare boolean NOT NULL DEFAULT false;
