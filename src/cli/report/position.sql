-- How far the table has followed the journal of each engine, in bytes, and when it last moved (UTC).
-- A row an engine.
SELECT node, position, updated_at
FROM store_position
ORDER BY node
