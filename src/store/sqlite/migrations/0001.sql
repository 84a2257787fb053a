-- Ids are the bytes of src/domain/ids.rs, times are milliseconds since the epoch.

CREATE TABLE users (
    id                BLOB PRIMARY KEY CHECK (length(id) = 16),
    username          TEXT NOT NULL,
    username_key      TEXT NOT NULL UNIQUE,
    email             TEXT NOT NULL,
    email_key         TEXT NOT NULL UNIQUE,
    password_hash     TEXT NOT NULL,
    is_email_verified INTEGER NOT NULL CHECK (is_email_verified IN (0, 1)),
    messages_from     TEXT NOT NULL CHECK (messages_from IN ('everyone', 'friends')),
    last_login        INTEGER,
    last_seen         INTEGER,
    created_at        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    user         BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash         BLOB NOT NULL CHECK (length(hash) = 32),
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    user_agent   TEXT,
    PRIMARY KEY (user, hash)
) STRICT, WITHOUT ROWID;

-- The row's own number keeps the order of adding.
CREATE TABLE friends (
    number   INTEGER PRIMARY KEY,
    user     BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    friend   BLOB NOT NULL CHECK (length(friend) = 16),
    added_at INTEGER NOT NULL,
    UNIQUE (user, friend)
) STRICT;
CREATE INDEX friends_in_order ON friends (user, number);

CREATE TABLE blocks (
    user       BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    blocked    BLOB NOT NULL CHECK (length(blocked) = 16),
    blocked_at INTEGER NOT NULL,
    PRIMARY KEY (user, blocked)
) STRICT, WITHOUT ROWID;

-- A chat outlives its members' accounts, so nothing here refers to users.
CREATE TABLE chats (
    id           BLOB PRIMARY KEY CHECK (length(id) = 32),
    last_seq     INTEGER NOT NULL,
    last_sent_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE chat_members (
    user         BLOB NOT NULL CHECK (length(user) = 16),
    chat         BLOB NOT NULL REFERENCES chats (id),
    last_sent_at INTEGER NOT NULL,
    read_seq     INTEGER NOT NULL,
    PRIMARY KEY (user, chat)
) STRICT, WITHOUT ROWID;
CREATE INDEX chat_members_latest ON chat_members (user, last_sent_at, chat);

CREATE TABLE messages (
    chat      BLOB NOT NULL REFERENCES chats (id),
    seq       INTEGER NOT NULL,
    sender    BLOB NOT NULL CHECK (length(sender) = 16),
    recipient BLOB NOT NULL CHECK (length(recipient) = 16),
    content   TEXT NOT NULL,
    sent_at   INTEGER NOT NULL,
    client_id TEXT,
    PRIMARY KEY (chat, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX messages_sent ON messages (sender, sent_at, chat, seq);
CREATE INDEX messages_received ON messages (recipient, sent_at, chat, seq);
CREATE UNIQUE INDEX messages_client_id ON messages (chat, sender, client_id) WHERE client_id IS NOT NULL;
