DELETE FROM commands WHERE (stream, command_id) IN (
    SELECT stream, command_id FROM commands WHERE recorded_at < $1 ORDER BY recorded_at LIMIT $2
)
