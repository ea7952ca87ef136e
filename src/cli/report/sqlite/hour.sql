-- Messages by the hour of the day (UTC) in which the engine read them.
-- It reads the table once.
SELECT CAST(strftime('%H', created_at) AS INTEGER) AS hour, COUNT(*) AS messages
FROM messages
{where}
GROUP BY hour
ORDER BY hour
{limit}
