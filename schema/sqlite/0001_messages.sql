-- The messages of an engine, and how far into the journal they reach.
--
-- Written by the store alone, in transactions that move rows and position together. Any number of
-- readers may query it meanwhile (WAL mode).

CREATE TABLE IF NOT EXISTS messages (
    -- The base of its engine plus its sequence: the key by which it is settled.
    id             INTEGER PRIMARY KEY,
    -- The source's own id; unique within the dedup window, not for ever.
    messageId      TEXT    NOT NULL,
    sourceServerId TEXT    NOT NULL,
    destinationId  TEXT    NOT NULL,
    messageType    TEXT    NOT NULL,
    -- The frame's own priority, 1 = most urgent (not the level that a rule gave it).
    priority       INTEGER NOT NULL,
    -- The frame's own timestamp, or its arrival: ms since the epoch.
    timestamp      INTEGER NOT NULL,
    -- The payload as it came, JSON; NULL where the frame had none.
    payload        TEXT,
    -- 'INGESTED', then 'DELIVERED'.
    status         TEXT    NOT NULL,
    -- When the engine read the frame: UTC, 'YYYY-MM-DD HH:MM:SS.ffffff'.
    created_at     TEXT    NOT NULL,
    -- The message's place in the unified stream of its engine, from 1.
    sequence       INTEGER NOT NULL,
    -- When the message was settled: UTC, as created_at; NULL before.
    delivered_at   TEXT
);

-- "What did this customer get, and what waits for it?"
CREATE INDEX IF NOT EXISTS messages_destination ON messages (destinationId);
-- "How many messages of each priority?"
CREATE INDEX IF NOT EXISTS messages_priority ON messages (priority);
-- "What came between these hours?"
CREATE INDEX IF NOT EXISTS messages_timestamp ON messages (timestamp);

CREATE TABLE IF NOT EXISTS store_position (
    -- Which engine.
    node       TEXT    PRIMARY KEY,
    -- The place in that engine's journal up to which the table has followed.
    position   INTEGER NOT NULL,
    -- When that was: UTC, to the millisecond.
    updated_at TEXT    NOT NULL
);
