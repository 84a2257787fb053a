-- A record of users is an account, a pending registration or a deleted account. The last two only hold a user name, until
-- held_until; their email_key is 'pending:' or 'deleted:' and the id in hexadecimal, which is no address.
ALTER TABLE users ADD COLUMN held_until INTEGER;
-- The key of the address that a pending registration will have.
ALTER TABLE users ADD COLUMN pending_email_key TEXT;
ALTER TABLE users ADD COLUMN previous_email TEXT;
ALTER TABLE users ADD COLUMN previous_email_key TEXT;
ALTER TABLE users ADD COLUMN previous_email_until INTEGER;
CREATE INDEX users_held ON users (held_until) WHERE held_until IS NOT NULL;
CREATE INDEX users_pending_email ON users (pending_email_key) WHERE pending_email_key IS NOT NULL;
CREATE INDEX users_previous_email ON users (previous_email_key, previous_email_until) WHERE previous_email_key IS NOT NULL;
-- The names that a search finds.
CREATE INDEX users_search ON users (username_key) WHERE held_until IS NULL;

-- Whose list somebody is on.
CREATE INDEX friends_of ON friends (friend);

-- The row's own number keeps the order of blocking.
CREATE TABLE blocks_numbered (
    number     INTEGER PRIMARY KEY,
    user       BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    blocked    BLOB NOT NULL CHECK (length(blocked) = 16),
    blocked_at INTEGER NOT NULL,
    UNIQUE (user, blocked)
) STRICT;
INSERT INTO blocks_numbered (user, blocked, blocked_at) SELECT user, blocked, blocked_at FROM blocks ORDER BY blocked_at;
DROP TABLE blocks;
ALTER TABLE blocks_numbered RENAME TO blocks;
CREATE INDEX blocks_in_order ON blocks (user, number);

CREATE TABLE mail (
    id          BLOB PRIMARY KEY CHECK (length(id) = 16),
    user        BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind        TEXT NOT NULL,
    address     TEXT NOT NULL,
    address_key TEXT NOT NULL,
    due_at      INTEGER NOT NULL,
    ordered_at  INTEGER NOT NULL,
    attempts    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX mail_due ON mail (due_at, id);
CREATE INDEX mail_of_user ON mail (user);

CREATE TABLE mail_tokens (
    user       BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    purpose    TEXT NOT NULL,
    hash       BLOB NOT NULL CHECK (length(hash) = 32),
    address    TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (user, purpose)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX mail_tokens_hash ON mail_tokens (hash);

-- The number of an event is never given again: whoever takes an event back must not hit another one.
CREATE TABLE throttle_events (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    key        BLOB NOT NULL CHECK (length(key) = 32),
    at         INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX throttle_events_in_order ON throttle_events (key, at);
CREATE INDEX throttle_events_expired ON throttle_events (expires_at);

CREATE TABLE throttle_trust (
    key   BLOB PRIMARY KEY CHECK (length(key) = 32),
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX throttle_trust_expired ON throttle_trust (until);
