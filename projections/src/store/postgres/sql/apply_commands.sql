INSERT INTO commands (stream, command_id, fingerprint, sequence, recorded_at)
SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[])
ON CONFLICT DO NOTHING
