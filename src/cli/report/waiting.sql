-- Messages that are not delivered yet, by customer, the most first, and when the oldest was read (UTC).
-- It reads the table once: few rows say INGESTED, and an index would cost each delivery a write.
SELECT destinationId, COUNT(*) AS messages, MIN(created_at) AS oldest
FROM messages
WHERE status = 'INGESTED'
{and}
GROUP BY destinationId
ORDER BY messages DESC, destinationId
{limit}
