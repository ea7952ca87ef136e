-- Messages by the hour of the day (UTC) in which the engine read them.
-- It reads the table once.
SELECT HOUR(created_at) AS hour, COUNT(*) AS messages
FROM messages
{where}
GROUP BY hour
ORDER BY hour
{limit}
