// Prints the contracts' fixture: a model's verifier and two proofs of one statement (contracts/test/fixtures/README.md).
//
// node script/fixture.mjs MODEL_DIR MANIFEST INPUT PROOF SECOND_PROOF PROVE_REPORT
import { readFileSync } from 'node:fs';

const paths = process.argv.slice(2);
if (paths.length !== 6) {
    process.stderr.write('script/fixture.mjs: give a model folder, its manifest, an input, two proofs and the report of `vouch prove --json`\n');
    process.exit(2);
}
const [dir, ...files] = paths;
const read = (path) => JSON.parse(readFileSync(path, 'utf8'));
const [manifest, input, first, second, report] = files.map(read);
const statement = read(`${dir}/statement.json`);
const verifier = read(`${dir}/verifier.json`);

const [port] = statement.ports.filter(({ role }) => role === 'output');
const integers = report.outputs[port.name].integers;
// A consumer accepts what makes sense to it, which may be less than a proof can hold.
const [low, high] = manifest.output.bounds.map((bound) => Math.round(bound * 2 ** port.exponent));

const fixture = {
    format: 'vouch-contract-fixture',
    version: 2,
    verifierBytecode: verifier.creation,
    key: verifier.key,
    output: {
        count: port.count,
        bits: port.bits,
        perWord: port.per_word,
        exponent: port.exponent,
        minimum: low,
        maximum: high,
    },
    ticks: input[manifest.input.name].flat(),
    outputs: integers,
    instances: first.instances,
    proof: first.proof,
    secondProof: second.proof,
};
process.stdout.write(`${JSON.stringify(fixture, null, 1)}\n`);
