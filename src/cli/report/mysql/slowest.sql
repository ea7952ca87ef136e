-- The slowest customers: from reading a message to its settlement, in microseconds. A percentile is
-- the least latency that so many of a hundred messages do not exceed. Where the clock was set back meanwhile, it is
-- zero.
-- It reads the table once and sorts what was delivered.
WITH latencies AS (
    SELECT destinationId,
           GREATEST(0, TIMESTAMPDIFF(MICROSECOND, created_at, delivered_at)) AS latency_us
    FROM messages
    WHERE status = 'DELIVERED' AND delivered_at IS NOT NULL
    {and}
), placed AS (
    SELECT destinationId, latency_us,
           ROW_NUMBER() OVER (PARTITION BY destinationId ORDER BY latency_us) AS place,
           COUNT(*) OVER (PARTITION BY destinationId) AS places
    FROM latencies
)
SELECT destinationId, COUNT(*) AS messages, ROUND(AVG(latency_us), 1) AS average_us,
       MIN(CASE WHEN place * 100 >= places * 50 THEN latency_us END) AS p50_us,
       MIN(CASE WHEN place * 100 >= places * 95 THEN latency_us END) AS p95_us,
       MAX(latency_us) AS max_us
FROM placed
GROUP BY destinationId
ORDER BY average_us DESC, destinationId
{limit}
