// Presents npm's `solc` (soljson) as the native executable: `--version` and `--standard-json`
// over stdin, which is what foundry-compilers and forge call. The soljson build cannot read files
// by itself, so every source travels inside the JSON and the path options have nothing to act on.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** Options with a value that the native compiler takes and that change nothing here. */
const IGNORED = ['--base-path', '--include-path', '--allow-paths'];

function fail(message) {
    process.stderr.write(`script/solc: ${message}\n`);
    process.exit(1);
}

function load() {
    const soljson = join(root, 'node_modules', 'solc', 'soljson.js');
    if (!existsSync(soljson)) {
        fail('the npm package `solc` is not installed; run `npm ci` in the repository root');
    }
    const require = createRequire(import.meta.url);
    const listeners = new Set(process.listeners('uncaughtException'));
    const rejections = new Set(process.listeners('unhandledRejection'));
    const solc = require(join(root, 'node_modules', 'solc'));
    // Emscripten installs handlers that print its whole source on an error of ours.
    for (const l of process.listeners('uncaughtException')) {
        if (!listeners.has(l)) process.removeListener('uncaughtException', l);
    }
    for (const l of process.listeners('unhandledRejection')) {
        if (!rejections.has(l)) process.removeListener('unhandledRejection', l);
    }
    return solc;
}

function parse(argv) {
    let action;
    let file;
    for (let i = 0; i < argv.length; i += 1) {
        const [name, inline] = argv[i].split('=', 2);
        if (name === '--version' || name === '--standard-json') {
            action = name;
        } else if (IGNORED.includes(name)) {
            if (inline === undefined) i += 1;
        } else if (name.startsWith('--')) {
            fail(`the option \`${name}\` is not supported; use --version or --standard-json`);
        } else if (argv[i] !== '-' && file === undefined) {
            file = argv[i];
        }
    }
    if (action === undefined) fail('nothing to do; use --version or --standard-json');
    return { action, file };
}

const { action, file } = parse(process.argv.slice(2));
const solc = load();
if (action === '--version') {
    process.stdout.write(
        `solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`,
    );
} else {
    process.stdout.write(solc.compile(readFileSync(file ?? 0, 'utf8')));
}
