// The SHA-256 of each file below a folder, as `sha256sum` writes them, sorted by name.
//
// node script/sha256.mjs FOLDER
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const [folder] = process.argv.slice(2);
const names = readdirSync(folder, { recursive: true }).sort();
for (const name of names.filter((name) => statSync(join(folder, name)).isFile())) {
    const hash = createHash('sha256').update(readFileSync(join(folder, name))).digest('hex');
    process.stdout.write(`${hash}  ${name}\n`);
}
