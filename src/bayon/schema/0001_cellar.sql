-- What every room stands on: the sandbox's clock and its generated secrets.
-- (The tables of the migrations themselves are made by db.py before any migration runs.)

-- How far the sandbox is ahead of real time. Production never moves it.
CREATE TABLE cellar.clock (
    one int PRIMARY KEY CHECK (one = 1),
    offset_s double precision NOT NULL CHECK (offset_s >= 0)
);

INSERT INTO cellar.clock (one, offset_s) VALUES (1, 0);

-- Keys and tokens the sandbox made for itself, so that every process on this database finds the
-- same ones. Production gets its keys by environment and leaves this empty.
CREATE TABLE cellar.secret (
    name text PRIMARY KEY,
    value text NOT NULL
);
