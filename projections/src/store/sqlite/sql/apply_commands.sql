INSERT INTO commands (stream, command_id, fingerprint, sequence, recorded_at)
SELECT value ->> 0, unhex(value ->> 1), unhex(value ->> 2), value ->> 3, value ->> 4
FROM jsonb_each(?1) WHERE true
ON CONFLICT DO NOTHING
