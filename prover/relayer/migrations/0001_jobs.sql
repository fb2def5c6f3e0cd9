-- What this journal belongs to: a chain id alone does not tell two development chains apart.
CREATE TABLE identity (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    chain_id     INTEGER NOT NULL,
    genesis_hash TEXT    NOT NULL
) STRICT;

CREATE TABLE jobs (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The statement: the same trigger seen twice is one job.
    chain_id      INTEGER NOT NULL,
    consumer      TEXT    NOT NULL,
    action        TEXT    NOT NULL CHECK (action IN ('infer', 'poke')),
    model_id      TEXT    NOT NULL,
    model_version INTEGER NOT NULL,
    epoch         INTEGER NOT NULL,
    -- What to prove; empty for a poke.
    context       TEXT,
    nullifier     TEXT,
    input_words   TEXT,
    -- Chain time (seconds) after which the contract refuses it; NULL where it never does.
    deadline      INTEGER,
    state         TEXT    NOT NULL,
    reason        TEXT,
    -- Set while the nonce is being freed: how the job ends when it is.
    closing       TEXT,
    closing_reason TEXT,
    calldata      BLOB,
    sender        TEXT,
    nonce         INTEGER,
    mined_hash    TEXT,
    block_number  INTEGER,
    block_hash    TEXT,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    UNIQUE (chain_id, consumer, action, model_id, model_version, epoch)
) STRICT;

-- Two jobs in flight never share a nonce, whatever the program above does.
CREATE UNIQUE INDEX one_job_a_nonce ON jobs (sender, nonce)
    WHERE nonce IS NOT NULL AND state IN ('intent', 'signed', 'broadcast', 'mined');

-- Every transaction that was ever signed for a job, with its bytes.
CREATE TABLE attempts (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id        INTEGER NOT NULL REFERENCES jobs (id),
    hash          TEXT    NOT NULL UNIQUE,
    nonce         INTEGER NOT NULL,
    kind          TEXT    NOT NULL CHECK (kind IN ('submit', 'cancel')),
    raw           BLOB    NOT NULL,
    gas_limit     INTEGER NOT NULL,
    max_fee       TEXT    NOT NULL,
    priority_fee  TEXT    NOT NULL,
    signed_at     INTEGER NOT NULL,
    -- Wei; set when it is mined, cleared by a reorganisation.
    fee_paid      TEXT
) STRICT;

CREATE INDEX attempts_of_a_job ON attempts (job_id);

-- Timeline of each job.
CREATE TABLE steps (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id INTEGER NOT NULL REFERENCES jobs (id),
    state  TEXT    NOT NULL,
    detail TEXT    NOT NULL,
    at     INTEGER NOT NULL
) STRICT;

CREATE INDEX steps_of_a_job ON steps (job_id);
