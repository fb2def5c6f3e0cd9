// The record of the gas of verifications and its tables.
//
// node script/gas-table.mjs --record COMMAND REPORT   prints the record of a `vouch bench --gas-parts --json` report
// node script/gas-table.mjs RECORD PEER_RECORD        prints a record as Markdown, beside EZKL's gas
import { readFileSync } from 'node:fs';

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** Columns of the breakdown: title, and the parts that are in it. What no column names is in the last. */
const PARTS = [
    ['transaction', ['transaction']],
    ['calldata', ['calldata']],
    ['pairing', ['pairing']],
    ['multiplying and adding points', ['multiplications of points', 'additions of points', "calls of the curve's precompiles"]],
    ['transcript', ['Transcript']],
    ['evaluation', ['Row polynomials at x, and all denominators', 'One inversion for all denominators', 'modular exponentiation', 'Constraints at x']],
    ['scalars of the opening', ['Scalars of the opening argument']],
    ['sharing', ['forwarding to the shared verifier', 'The key: the end of the code of the contract that is called']],
    ['checks and the rest', []],
];

function fail(message) {
    process.stderr.write(`script/gas-table.mjs: ${message}\n`);
    process.exit(1);
}

const read = (path) => JSON.parse(readFileSync(path, 'utf8'));
const row = (cells) => `| ${cells.join(' | ')} |`;
const rule = (titles) => row(['---', ...titles.slice(1).map(() => '---:')]);

function record(command, path) {
    const { rows, failures } = read(path);
    for (const { model, error } of failures) fail(`${model} failed: ${error?.message}`);
    const kept = ({ model, shape, proof_bytes, runtime_bytes, gas, gas_osaka, key_gas, gas_parts }) =>
        ({ model, shape, proof_bytes, runtime_bytes, gas, gas_osaka, key_gas, gas_parts });
    return JSON.stringify({ command, rows: rows.map(kept) }, null, 1);
}

function whole_transactions(rows, peer) {
    const theirs = (model) => peer.results.find((result) => result.model === model)?.figures.EZKL?.gas;
    const titles = ['model', 'shape', 'gas', 'EZKL', 'ours over theirs', 'under Osaka', 'verifier, bytes', 'to add a model, gas'];
    const line = ({ model, shape, gas, gas_osaka, runtime_bytes, key_gas }) => {
        const other = theirs(model);
        const compared = other === undefined ? ['-', '-'] : [whole.format(other), (gas / other).toFixed(2)];
        return row([model, `\`${shape}\``, whole.format(gas), ...compared, ...[gas_osaka, runtime_bytes, key_gas].map((v) => whole.format(v))]);
    };
    return [row(titles), rule(titles), ...rows.map(line)].join('\n');
}

function breakdown(rows) {
    const titles = ['model', ...PARTS.map(([title]) => title), 'points multiplied'];
    const line = ({ model, gas, gas_parts }) => {
        const of = (names) => gas_parts.filter(({ name }) => names.includes(name)).reduce((sum, part) => sum + part.gas, 0);
        const named = PARTS.slice(0, -1).map(([, names]) => of(names));
        const rest = gas - named.reduce((a, b) => a + b, 0);
        const points = gas_parts.find(({ name }) => name === 'multiplications of points').calls;
        return row([model, ...[...named, rest].map((v) => whole.format(v)), points]);
    };
    return [row(titles), rule(titles), ...rows.map(line)].join('\n');
}

const [first, second, third] = process.argv.slice(2);
if (first === '--record' && third !== undefined) {
    process.stdout.write(`${record(second, third)}\n`);
} else if (second !== undefined) {
    const { command, rows } = read(first);
    process.stdout.write(`${whole_transactions(rows, read(second))}\n\n${breakdown(rows)}\n\nBoth tables: \`${command}\`.\n`);
} else {
    fail('give a record and that of the comparison, or --record, the command and a report');
}
