-- Delivered messages by customer and type, the most first.
-- It reads the table once.
SELECT destinationId, messageType, COUNT(*) AS messages
FROM messages
WHERE status = 'DELIVERED'
{and}
GROUP BY destinationId, messageType
ORDER BY messages DESC, destinationId, messageType
{limit}
