-- When a transaction was first seen mined (Unix seconds, local clock): the day's budget goes by it.
ALTER TABLE attempts ADD COLUMN mined_at INTEGER;
UPDATE attempts SET mined_at = signed_at WHERE fee_paid IS NOT NULL;
