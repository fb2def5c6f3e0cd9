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
const { graph } = read(`${dir}/graph.json`);
const verifier = read(`${dir}/verifier.json`);

const [port] = graph.outputs;
const tensor = graph.tensors[port.tensor];
const integers = report.outputs[tensor.name].integers;
const [low, high] = manifest.output.bounds.map((bound) => Math.round(bound * 2 ** tensor.exponent));

const fixture = {
    format: 'vouch-contract-fixture',
    version: 2,
    verifierBytecode: verifier.creation,
    key: verifier.key,
    output: {
        count: integers.length,
        bits: port.packing.bits,
        perWord: port.packing.per_word,
        exponent: tensor.exponent,
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
