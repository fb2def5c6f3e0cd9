"""Writes the ONNX backend node tests that `cases.txt` names, from the pinned `onnx` package's own generators.

    make_cases.py FOLDER      writes FOLDER/<case>/{model.onnx, test_data_set_0/{input,output}_<i>.pb}

The wheel ships the generators and not their files, and numpy makes the data: so the bytes of every file are hashed,
and where the hash is another than SHA256 nothing is left behind. `requirements.txt` pins what decides the bytes.
"""

import hashlib
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
from onnx.backend.test.loader import load_model_tests

HERE = Path(__file__).resolve().parent
SEED = 0
# Over all files, in the order of cases.txt and of `files`: the path below FOLDER, a zero byte, the content.
SHA256 = "cbaad9a16db9fa44f27c2aec2d21f4486644d5a1d519844dc18c5e5f73155372"


def names():
    lines = (HERE / "cases.txt").read_text().splitlines()
    return [line.split()[0] for line in lines if line and not line.startswith("#")]


def files(case):
    """The model, then the tensors of the first data set, inputs before outputs."""
    yield "model.onnx", case.model
    inputs, outputs = case.data_sets[0]
    for side, declared, values in (("input", case.model.graph.input, inputs), ("output", case.model.graph.output, outputs)):
        for i, (port, value) in enumerate(zip(declared, values)):
            if not isinstance(value, onnx.TensorProto):
                value = onnx.numpy_helper.from_array(np.asarray(value), port.name)
            yield f"test_data_set_0/{side}_{i}.pb", value


def main(folder):
    warnings.simplefilter("ignore")
    np.random.seed(SEED)
    known = {case.name: case for case in load_model_tests(kind="node")}
    missing = [name for name in names() if name not in known]
    if missing:
        sys.exit(f"onnx {onnx.__version__} has no case {missing[0]}; install tests/conformance/requirements.txt")

    digest = hashlib.sha256()
    # Renamed when complete, so that a folder of cases is always all of them.
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    for name in names():
        for file, message in files(known[name]):
            content = message.SerializeToString(deterministic=True)
            digest.update(f"{name}/{file}".encode() + b"\0" + content)
            path = partial / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    if digest.hexdigest() != SHA256:
        shutil.rmtree(partial)
        sys.exit(
            f"the cases hash to {digest.hexdigest()}, not to {SHA256}: figures on them would compare with nothing\n"
            f"onnx is {onnx.__version__}, numpy is {np.__version__}; tests/conformance/requirements.txt says what they must be"
        )
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    print(f"{len(names())} cases in {folder}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
