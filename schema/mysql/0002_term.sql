-- Whose turn it is to write: a group of engines with one replicated journal shares one position.
--
-- Only such a group needs these columns: an engine of its own works without them. The member that serves
-- writes its term over the same or a lower epoch when it takes over; each of its transactions locks the
-- row and compares. Another's term stops it.

ALTER TABLE store_position
    ADD COLUMN epoch BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'of the term in which the group writes: one more with each claim; 0: an engine of its own',
    ADD COLUMN term  BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'the random number of the process that claimed that epoch';
