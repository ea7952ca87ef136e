-- The messages of one engine or several, and how far into its journal each of them reaches.
--
-- For MySQL 8 and MariaDB. Written by the stores alone, in transactions that move rows and position
-- together. All moments are UTC. Strings compare byte for byte (utf8mb4_bin): ids that differ in
-- case are different ids.
--
-- A row that is settled later keeps its length, and so its place: delivered_at takes eight bytes, and
-- room gives eight back (measured with MariaDB 10.11, 100,000 rows: 10 us a row, and 21 us without room,
-- for then InnoDB lays the whole page anew for every few of its rows). Tables without room, and tables of
-- ROW_FORMAT = REDUNDANT, which earlier engines made, are right as they are; an index on messageId needs
-- ROW_FORMAT = DYNAMIC: flipped-lb schema check prints the statement.

CREATE TABLE IF NOT EXISTS messages (
    id             BIGINT       NOT NULL COMMENT 'id_base of the engine in store_position, plus sequence: the key by which a row is settled',
    messageId      VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'the own id of the source; unique within the dedup window, not for ever',
    sourceServerId VARCHAR(50)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'the server that sent the message',
    destinationId  VARCHAR(50)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'the customer whom it is for',
    messageType    VARCHAR(50)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'what it is, in the word of the source',
    priority       SMALLINT     NOT NULL COMMENT 'of the frame itself, 1 = most urgent; not the level that a rule gave it',
    `timestamp`    BIGINT       NOT NULL COMMENT 'of the frame itself, or its arrival: ms since the epoch',
    payload        MEDIUMTEXT   CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'JSON as it came, up to 64 KiB; NULL where the frame had none',
    status         CHAR(20)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'INGESTED, then DELIVERED',
    created_at     DATETIME(6)  NOT NULL COMMENT 'when the engine read the frame: UTC',
    sequence       BIGINT       NULL COMMENT 'place in the unified stream of its engine, from 1; NULL in rows of an older table',
    delivered_at   DATETIME(6)  NULL COMMENT 'when it was settled: UTC; NULL before',
    room           VARCHAR(8)   CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '--------' /*M!100303 INVISIBLE */ /*!80023 INVISIBLE */ COMMENT 'eight bytes that delivered_at takes over, so that the row keeps its length',
    PRIMARY KEY (id),
    KEY messages_destination (destinationId) COMMENT 'what did this customer get, and what waits for it',
    KEY messages_priority (priority) COMMENT 'how many messages of each priority',
    KEY messages_timestamp (`timestamp`) COMMENT 'what came between these hours'
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT = 'a row a message';

CREATE TABLE IF NOT EXISTS store_position (
    node       VARCHAR(64)     CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'which engine: [store] node',
    id_base    BIGINT          NOT NULL COMMENT 'what its ids count from, so that engines do not meet: steps of 2^48',
    position   BIGINT UNSIGNED NOT NULL COMMENT 'place in the journal of that engine up to which the table has followed',
    updated_at DATETIME(6)     NOT NULL COMMENT 'when that was: UTC',
    PRIMARY KEY (node),
    UNIQUE KEY store_position_base (id_base)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT = 'how far each engine has followed';
