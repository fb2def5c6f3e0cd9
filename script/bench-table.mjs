// Prints the record of `vouch bench --json` as a Markdown table.
//
// node script/bench-table.mjs FILE
//
// The record: `command`, `machine`, and `models`, a list of objects with the keys of COLUMNS.
import { readFileSync } from 'node:fs';

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** Title of the column, key in the record, how a value is written. */
const COLUMNS = [
    ['model', 'model', String],
    ['parameters', 'params', (v) => whole.format(v)],
    ['rows', 'k', (v) => `2^${v}`],
    ['prove, s', 'prove_seconds', (v) => v.toFixed(2)],
    ['peak memory, MB', 'peak_memory_bytes', (v) => whole.format(v / 1e6)],
    ['proof, bytes', 'proof_bytes', (v) => whole.format(v)],
    ['verify, gas', 'gas', (v) => whole.format(v)],
    ['verifier, bytes', 'runtime_bytes', (v) => whole.format(v)],
    ['largest error', 'max_abs_error', (v) => v.toPrecision(2)],
];

function fail(message) {
    process.stderr.write(`script/bench-table.mjs: ${message}\n`);
    process.exit(1);
}

function field(object, key, of) {
    const value = object[key];
    if (value === undefined || value === null) fail(`${of} has no \`${key}\`; record it again with \`script/bless bench\``);
    return value;
}

const [file] = process.argv.slice(2);
if (file === undefined) fail('which record? give the file that `vouch bench --json` wrote');
const record = JSON.parse(readFileSync(file, 'utf8'));
const models = field(record, 'models', file);
if (!Array.isArray(models) || models.length === 0) fail(`${file} lists no model`);

const row = (cells) => `| ${cells.join(' | ')} |`;
const lines = [
    `Measured by \`${field(record, 'command', file)}\` on ${field(record, 'machine', file)}.`,
    '',
    row(COLUMNS.map(([title]) => title)),
    row(COLUMNS.map(([, key]) => (key === 'model' ? '---' : '---:'))),
    ...models.map((model, i) =>
        row(COLUMNS.map(([, key, write]) => write(field(model, key, `${file}, model ${i}`))))),
];
process.stdout.write(`${lines.join('\n')}\n`);
