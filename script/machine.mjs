// The machine that measures, in a line.
import { arch, cpus, totalmem, type } from 'node:os';

/** Cores, processor, memory and system. */
export function machine() {
    const memory = Math.round(totalmem() / 2 ** 30);
    return `${cpus().length} cores (${cpus()[0].model.trim()}), ${memory} GiB, ${type()} ${arch()}`;
}
