// The benchmark's record and its tables.
//
// node script/bench-table.mjs --record COMMAND REPORT...   prints the record of `vouch bench --json` reports
// node script/bench-table.mjs RECORD                       prints a record as Markdown, a table a report
// node script/bench-table.mjs --shapes RECORD              prints the shapes of its models as Markdown
//
// A record is the reports with the `command` and the `machine` that made them.
import { readFileSync } from 'node:fs';

import { machine } from './machine.mjs';

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** Title of the column, key in a row of the report, how a value is written. */
const COLUMNS = [
    ['model', 'model', String],
    ['parameters', 'params', (v) => whole.format(v)],
    ['rows', 'k', (v) => `2^${v}`],
    ['height', 'height', String],
    ['advice', 'advice_columns', String],
    ['fixed', 'fixed_columns', String],
    ['permutation', 'permutation_columns', String],
    ['cells', 'cells', (v) => whole.format(v)],
    ['per element', 'cells_per_element', (v) => v.toFixed(1)],
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

/** A report, or a record's reports, without a model that failed. */
function read(file) {
    const content = JSON.parse(readFileSync(file, 'utf8'));
    for (const report of content.reports ?? [content]) {
        const rows = field(report, 'rows', file);
        if (!Array.isArray(rows) || rows.length === 0) fail(`${file} has no row`);
        for (const { model, error } of field(report, 'failures', file)) fail(`${model} failed: ${error?.message}`);
    }
    return content;
}

function record(command, files) {
    return JSON.stringify({ command, machine: machine(), reports: files.map(read) }, null, 1);
}

function table(report, file) {
    const row = (cells) => `| ${cells.join(' | ')} |`;
    const weights = field(report, 'public_weights', file)
        ? 'weights public, in the verifying key'
        : 'weights private, hidden and not bound by the verifying key';
    const objective = { prover: 'Least proving time', gas: 'Least gas', memory: 'Least memory' };
    return [
        `${objective[field(report, 'objective', file)]}, ${weights}:`,
        '',
        row(COLUMNS.map(([title]) => title)),
        row(COLUMNS.map(([, key]) => (key === 'model' ? '---' : '---:'))),
        ...report.rows.map((entry) => row(COLUMNS.map(([, key, write]) => write(field(entry, key, file))))),
    ].join('\n');
}

function tables(file) {
    const content = read(file);
    const reports = field(content, 'reports', file);
    const introduction = [
        `\`${field(content, 'command', file)}\` on ${field(content, 'machine', file)}. Times are medians of`,
        `${field(reports[0], 'runs', file)} proofs; the whole process includes loading the keys; gas is that of the whole`,
        'transaction. Cells are compared with the elements that the layers read and write and the weights.',
    ].join('\n');
    return [introduction, ...reports.map((report) => table(report, file))].join('\n\n');
}

/** Models by shape, one column a report. */
function shapes(file) {
    const reports = field(read(file), 'reports', file);
    const used = new Map();
    reports.forEach((report) => {
        const placement = field(report, 'public_weights', file) ? ', public weights' : '';
        for (const row of report.rows) {
            const shape = field(row, 'shape', file);
            used.set(shape, [...(used.get(shape) ?? []), `${row.model} (${report.objective}${placement})`]);
        }
    });
    const lines = [...used].sort().map(([shape, models]) => `| \`${shape}\` | ${models.join(', ')} |`);
    return ['| shape | models |', '| --- | --- |', ...lines].join('\n');
}

const arguments_ = process.argv.slice(2);
if (arguments_[0] === '--record' && arguments_.length >= 3) {
    process.stdout.write(`${record(arguments_[1], arguments_.slice(2))}\n`);
} else if (arguments_[0] === '--shapes' && arguments_.length === 2) {
    process.stdout.write(`${shapes(arguments_[1])}\n`);
} else if (arguments_.length === 1) {
    process.stdout.write(`${tables(arguments_[0])}\n`);
} else {
    fail('give a record, --shapes and a record, or --record, the command and the reports that it made');
}
