// The benchmark's record and its table.
//
// node script/bench-table.mjs --record REPORT COMMAND   prints the record of a `vouch bench --json` report
// node script/bench-table.mjs RECORD                    prints a record as a Markdown table
//
// A record is the report with the `command` and the `machine` that made it.
import { readFileSync } from 'node:fs';
import { arch, cpus, totalmem, type } from 'node:os';

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** Title of the column, key in a row of the report, how a value is written. */
const COLUMNS = [
    ['model', 'model', String],
    ['parameters', 'params', (v) => whole.format(v)],
    ['rows', 'k', (v) => `2^${v}`],
    ['prove, s', 'prove_seconds', (v) => v.toFixed(2)],
    ['whole process, s', 'process_seconds', (v) => v.toFixed(2)],
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
    if (value === undefined || value === null) fail(`${of} has no \`${key}\`; run \`script/bless bench\` again`);
    return value;
}

function read(file) {
    const report = JSON.parse(readFileSync(file, 'utf8'));
    const rows = field(report, 'rows', file);
    if (!Array.isArray(rows) || rows.length === 0) fail(`${file} has no row`);
    for (const { model, error } of field(report, 'failures', file)) fail(`${model} failed: ${error?.message}`);
    return report;
}

function record(file, command) {
    const memory = Math.round(totalmem() / 2 ** 30);
    const machine = `${cpus().length} cores (${cpus()[0].model.trim()}), ${memory} GiB, ${type()} ${arch()}`;
    return JSON.stringify({ command, machine, ...read(file) }, null, 1);
}

function table(file) {
    const report = read(file);
    const row = (cells) => `| ${cells.join(' | ')} |`;
    const runs = field(report, 'runs', file);
    return [
        `\`${field(report, 'command', file)}\` on ${field(report, 'machine', file)}. Times are medians of ${runs} proofs;`,
        'gas is that of the whole transaction; the whole process includes loading the keys; weights are public.',
        '',
        row(COLUMNS.map(([title]) => title)),
        row(COLUMNS.map(([, key]) => (key === 'model' ? '---' : '---:'))),
        ...report.rows.map((entry) => row(COLUMNS.map(([, key, write]) => write(field(entry, key, file))))),
    ].join('\n');
}

const arguments_ = process.argv.slice(2);
if (arguments_[0] === '--record' && arguments_.length === 3) {
    process.stdout.write(`${record(arguments_[1], arguments_[2])}\n`);
} else if (arguments_.length === 1) {
    process.stdout.write(`${table(arguments_[0])}\n`);
} else {
    fail('give a record, or --record, a report and the command that made it');
}
