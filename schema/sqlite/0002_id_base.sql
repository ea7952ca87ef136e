-- Several engines may share one database: the ids of each count from a base of its own.

-- What the ids of this engine count from: id = id_base + sequence. Steps of 2^48; 0 for the first.
ALTER TABLE store_position ADD COLUMN id_base INTEGER NOT NULL DEFAULT 0;
