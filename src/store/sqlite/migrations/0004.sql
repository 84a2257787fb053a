-- The addresses that one account alone can have, by their keys: its own, without a place, and those that are ways back, the oldest
-- in the first place. A way back has the name of its link.
CREATE TABLE addresses (
    key     TEXT PRIMARY KEY,
    user    BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    address TEXT NOT NULL,
    place   INTEGER,
    link    BLOB CHECK (length(link) = 16)
) STRICT, WITHOUT ROWID;
CREATE INDEX addresses_of_user ON addresses (user, place);
-- When the ways back of an account end.
ALTER TABLE users ADD COLUMN recovery_until INTEGER;
-- Where a verified account wants to move.
ALTER TABLE users ADD COLUMN pending_email TEXT;
ALTER TABLE users ADD COLUMN pending_email_until INTEGER;
CREATE INDEX users_recovery ON users (recovery_until) WHERE recovery_until IS NOT NULL;

-- Of several accounts that had an address the one that gave it up first has it as a way back, unless it is somebody's.
INSERT INTO addresses (key, user, address) SELECT email_key, id, email FROM users WHERE held_until IS NULL AND email <> '';
INSERT OR IGNORE INTO addresses (key, user, address, place, link)
    SELECT previous_email_key, id, previous_email, 1, randomblob(16) FROM users
    WHERE held_until IS NULL AND previous_email_key IS NOT NULL ORDER BY previous_email_until;
UPDATE users SET recovery_until = previous_email_until
    WHERE EXISTS (SELECT 1 FROM addresses WHERE addresses.user = users.id AND place IS NOT NULL);
DROP INDEX users_previous_email;
ALTER TABLE users DROP COLUMN previous_email;
ALTER TABLE users DROP COLUMN previous_email_key;
ALTER TABLE users DROP COLUMN previous_email_until;

-- Links to ways back have no end of their own: they end with these.
CREATE TABLE mail_tokens_by_address (
    user        BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    purpose     TEXT NOT NULL,
    address_key TEXT NOT NULL,
    hash        BLOB NOT NULL CHECK (length(hash) = 32),
    address     TEXT NOT NULL,
    expires_at  INTEGER,
    PRIMARY KEY (user, purpose, address_key)
) STRICT, WITHOUT ROWID;
INSERT INTO mail_tokens_by_address SELECT user, purpose, lower(address), hash, address, expires_at FROM mail_tokens;
DROP TABLE mail_tokens;
ALTER TABLE mail_tokens_by_address RENAME TO mail_tokens;
CREATE UNIQUE INDEX mail_tokens_hash ON mail_tokens (hash);
