// The record of a comparison and its table.
//
// node script/peer/table.mjs --record COMMAND RESULTS   prints the record of what compare.py wrote
// node script/peer/table.mjs RECORD                     prints a record, or what compare.py wrote, as Markdown
//
// A record is the results with the `command` and the `machine` that made them.
import { readFileSync } from 'node:fs';

import { machine } from '../machine.mjs';

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const OURS = 'vouch';
const GAS = 'vouch, gas plan';
const PEER = 'EZKL';

/** Title, our plan that counts, key, how a value is written. */
const FIGURES = [
    ['prove, s', OURS, 'prove_seconds', (v) => v.toFixed(2)],
    ['peak memory, MB', OURS, 'peak_memory_bytes', (v) => whole.format(v / 1e6)],
    ['gas', GAS, 'gas', (v) => whole.format(v)],
    ['proof, bytes', GAS, 'proof_bytes', (v) => whole.format(v)],
    ['largest error', OURS, 'max_abs_error', (v) => v.toPrecision(2)],
];

function table(results) {
    const row = (cells) => `| ${cells.join(' | ')} |`;
    const titles = FIGURES.flatMap(([title]) => [title, PEER, 'ratio']);
    const cells = ({ model, figures, failures }) => {
        const peer = figures[PEER];
        const values = FIGURES.flatMap(([, plan, key, write]) => {
            const ours = figures[plan]?.[key];
            const theirs = peer?.[key];
            const ratio = ours !== undefined && theirs !== undefined ? `${(theirs / ours).toPrecision(3)}x` : '';
            return [ours, theirs].map((value) => (value === undefined ? '-' : write(value))).concat(ratio);
        });
        return row([failures[PEER] === undefined ? model : `${model} ¹`, ...values]);
    };
    const refusals = results
        .filter(({ failures }) => failures[PEER] !== undefined)
        .map(({ model, failures }) => `¹ ${PEER} on ${model}: ${failures[PEER].replaceAll('|', '/')}`);
    const lines = [row(['model', ...titles]), row(['---', ...titles.map(() => '---:')]), ...results.map(cells)];
    return [...lines, ...refusals.flatMap((line) => ['', line])].join('\n');
}

const arguments_ = process.argv.slice(2);
if (arguments_[0] === '--record' && arguments_.length === 3) {
    const results = JSON.parse(readFileSync(arguments_[2], 'utf8'));
    process.stdout.write(`${JSON.stringify({ command: arguments_[1], machine: machine(), results }, null, 1)}\n`);
} else if (arguments_.length === 1) {
    const content = JSON.parse(readFileSync(arguments_[0], 'utf8'));
    const results = content.results ?? content;
    const runs = Math.max(...results.flatMap(({ figures }) => Object.values(figures).map((f) => f.all_prove_seconds.length)));
    const how = content.command ? `\`${content.command}\` on ${content.machine}; ` : '';
    process.stdout.write(`${how}the median of ${runs} proof${runs > 1 ? 's' : ''}, alternating.\n\n${table(results)}\n`);
} else {
    process.stderr.write('script/peer/table.mjs: give a record, or --record, the command and the results\n');
    process.exit(1);
}
