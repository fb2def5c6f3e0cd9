"""One step of EZKL, in a process of its own so that its time and memory are those of the step:

    step.py STEP MODEL WORK [SRS]

MODEL holds network.onnx, calib.json, input.json and test.npz; WORK is the folder of EZKL's files. Prints one JSON
object."""

import asyncio
import inspect
import json
import sys
from pathlib import Path

import ezkl


def call(function, *arguments):
    """Runs a function of EZKL's, which is a coroutine in some releases and not in others."""

    async def run():
        # It takes paths as text alone.
        result = function(*(str(value) if isinstance(value, Path) else value for value in arguments))
        return await result if inspect.isawaitable(result) else result

    return asyncio.run(run())


def settings(model, work, _):
    arguments = ezkl.PyRunArgs()
    arguments.input_visibility = "public"
    arguments.param_visibility = "private"
    arguments.output_visibility = "public"
    call(ezkl.gen_settings, model / "network.onnx", work / "settings.json", arguments)
    call(ezkl.calibrate_settings, model / "calib.json", model / "network.onnx", work / "settings.json", "resources")
    call(ezkl.compile_circuit, model / "network.onnx", work / "network.ezkl", work / "settings.json")
    return {"k": json.loads((work / "settings.json").read_text())["run_args"]["logrows"]}


def srs(_, work, path):
    k = json.loads((work / "settings.json").read_text())["run_args"]["logrows"]
    ezkl.gen_srs(path, k)


def setup(_, work, path):
    call(ezkl.setup, work / "network.ezkl", work / "verifying.key", work / "proving.key", path)


def prove(model, work, path):
    call(ezkl.gen_witness, model / "input.json", work / "network.ezkl", work / "witness.json")
    call(ezkl.prove, work / "witness.json", work / "network.ezkl", work / "proving.key", work / "proof.json", path)


def verify(_, work, path):
    accepted = call(ezkl.verify, work / "proof.json", work / "settings.json", work / "verifying.key", path)
    return {"accepted": bool(accepted)}


def contract(_, work, path):
    source = work / "Verifier.sol"
    try:
        call(ezkl.create_evm_verifier, work / "verifying.key", work / "settings.json", source, work / "verifier.abi", path)
    except RuntimeError:
        # For the ABI alone it wants a compiler of its own from the network; the source is written by then.
        if not source.exists():
            raise
    calldata = call(ezkl.encode_evm_calldata, work / "proof.json", work / "calldata.bin")
    return {"calldata": bytes(calldata).hex()}


def error(model, work, _):
    """Largest error against onnxruntime's outputs on the held-back samples."""
    import numpy

    samples = numpy.load(model / "test.npz")
    largest = 0.0
    for x, y in zip(samples["x"], samples["y"]):
        (work / "sample.json").write_text(json.dumps({"input_data": [[float(v) for v in x.ravel()]]}))
        call(ezkl.gen_witness, work / "sample.json", work / "network.ezkl", work / "sample.witness.json")
        elements = json.loads((work / "sample.witness.json").read_text())["pretty_elements"]["rescaled_outputs"]
        outputs = numpy.array([float(v) for row in elements for v in row])
        largest = max(largest, float(numpy.abs(outputs - y.ravel()).max()))
    return {"max_abs_error": largest}


STEPS = {step.__name__: step for step in (settings, srs, setup, prove, verify, contract, error)}

if __name__ == "__main__":
    step, model, work = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    path = sys.argv[4] if len(sys.argv) > 4 else None
    print(json.dumps(STEPS[step](model, work, path) or {}))
