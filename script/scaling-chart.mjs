// Proving time against size, from a report of `vouch bench --json`.
//
// node script/scaling-chart.mjs RECORD svg        the chart
// node script/scaling-chart.mjs RECORD markdown   the figures as a table, and the slopes
import { readFileSync } from 'node:fs';

const SERIES = [
    { title: 'dense networks', prefix: 'mlp_', colour: '#4e79a7' },
    { title: 'convolutional networks', prefix: 'cnn_', colour: '#f28e2b' },
];
const WIDTH = 720;
const HEIGHT = 440;
const MARGIN = { left: 70, right: 44, top: 24, bottom: 56 };
const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

function fail(message) {
    process.stderr.write(`script/scaling-chart.mjs: ${message}\n`);
    process.exit(1);
}

/** The rows of each series by size. */
function series(record) {
    const rows = record.reports.flatMap((report) => report.rows);
    return SERIES.map((kind) => {
        const points = rows
            .filter(({ model }) => model.startsWith(kind.prefix))
            .map((row) => ({ ...row, size: row.elements, seconds: row.prove_seconds }))
            .sort((a, b) => a.size - b.size);
        if (points.length < 2) fail(`the record has fewer than two ${kind.title}`);
        return { ...kind, points, slope: slope(points.slice(-LARGEST)) };
    });
}

/** Points at the large end over which the slope is taken: below them a proof's fixed costs show. */
const LARGEST = 4;

/** Least squares of log time on log size. */
function slope(points) {
    const [x, y] = [points.map((p) => Math.log(p.size)), points.map((p) => Math.log(p.seconds))];
    const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
    const [mx, my] = [mean(x), mean(y)];
    const products = x.map((value, i) => (value - mx) * (y[i] - my));
    const squares = x.map((value) => (value - mx) ** 2);
    return products.reduce((a, b) => a + b, 0) / squares.reduce((a, b) => a + b, 0);
}

/** Powers of ten that enclose the values. */
function decades(values) {
    return [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))];
}

function svg(all) {
    const points = all.flatMap((kind) => kind.points);
    const [x0, x1] = decades(points.map((p) => p.size));
    const [y0, y1] = decades(points.map((p) => p.seconds));
    const across = (size) =>
        MARGIN.left + ((Math.log10(size) - x0) / (x1 - x0)) * (WIDTH - MARGIN.left - MARGIN.right);
    const down = (seconds) =>
        HEIGHT - MARGIN.bottom - ((Math.log10(seconds) - y0) / (y1 - y0)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
    const [left, right, top, bottom] = [MARGIN.left, WIDTH - MARGIN.right, MARGIN.top, HEIGHT - MARGIN.bottom];
    const text = (x, y, content, anchor = 'middle') =>
        `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${content}</text>`;
    const line = (a, b, c, d, colour) =>
        `<line x1="${a.toFixed(1)}" y1="${b.toFixed(1)}" x2="${c.toFixed(1)}" y2="${d.toFixed(1)}" stroke="${colour}"/>`;
    const parts = [];
    for (let decade = x0; decade <= x1; decade += 1) {
        const x = across(10 ** decade);
        parts.push(line(x, top, x, bottom, '#ddd'), text(x, bottom + 18, whole.format(10 ** decade)));
    }
    for (let decade = y0; decade <= y1; decade += 1) {
        const y = down(10 ** decade);
        parts.push(line(left, y, right, y, '#ddd'), text(left - 8, y + 4, String(10 ** decade), 'end'));
    }
    parts.push(text((left + right) / 2, HEIGHT - 14, 'activations and weights'));
    parts.push(`<text transform="translate(18,${(top + bottom) / 2}) rotate(-90)" text-anchor="middle">seconds to prove</text>`);
    all.forEach(({ title, colour, points: own, slope: steep }, i) => {
        const path = own.map((p) => `${across(p.size).toFixed(1)},${down(p.seconds).toFixed(1)}`).join(' ');
        parts.push(`<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`);
        for (const p of own) {
            parts.push(`<circle cx="${across(p.size).toFixed(1)}" cy="${down(p.seconds).toFixed(1)}" r="4" fill="${colour}"/>`);
        }
        const y = top + 18 + 20 * i;
        parts.push(line(left + 14, y - 4, left + 38, y - 4, colour), text(left + 46, y, `${title}, slope ${steep.toFixed(2)}`, 'start'));
    });
    return [
        `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
        '<rect width="100%" height="100%" fill="#fff"/>',
        ...parts,
        '</svg>',
    ].join('\n');
}

function markdown(all, record) {
    const row = (cells) => `| ${cells.join(' | ')} |`;
    const rows = all.flatMap((kind) => kind.points);
    return [
        `\`${record.command}\` on ${record.machine}. The slopes are those of the ${LARGEST} largest of a kind:`,
        `${all.map(({ title, slope: steep }) => `${steep.toFixed(2)} for ${title}`).join(', ')}.`,
        '',
        row(['model', 'parameters', 'multiply-adds', 'activations and weights', 'cells for each', 'rows', 'prove, s', 'peak memory, MB']),
        row(['---', ...Array(7).fill('---:')]),
        ...rows.map((r) =>
            row([
                r.model,
                whole.format(r.params),
                whole.format(r.macs),
                whole.format(r.elements),
                r.cells_per_element.toFixed(1),
                `2^${r.k}`,
                r.prove_seconds.toFixed(2),
                whole.format(r.peak_memory_bytes / 1e6),
            ]),
        ),
    ].join('\n');
}

const [file, form, ...others] = process.argv.slice(2);
if (!file || !['svg', 'markdown'].includes(form) || others.length > 0) fail('give a record, and `svg` or `markdown`');
const record = JSON.parse(readFileSync(file, 'utf8'));
const all = series(record);
process.stdout.write(`${form === 'svg' ? svg(all) : markdown(all, record)}\n`);
