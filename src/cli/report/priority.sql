-- Messages by priority, 1 = most urgent.
-- The index messages_priority alone answers it, unless a time is asked for.
SELECT priority, COUNT(*) AS messages
FROM messages
{where}
GROUP BY priority
ORDER BY priority
{limit}
