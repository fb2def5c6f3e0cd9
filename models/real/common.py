"""What every train.py here shares: reproducible settings, and writing a model's folder."""

import hashlib
import json
import os
import platform
from collections import Counter
from importlib import metadata
from pathlib import Path

# One thread: the order of additions, and with it every trained weight, then depends on no core count.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto

SEED = 1
EXPECTED_NUMBERS = 10_000


def torch_ready(seed=SEED):
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    return torch


def graphs(graph):
    """The graph and every subgraph in it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in [attribute.g] * (attribute.type == onnx.AttributeProto.GRAPH) + list(attribute.graphs):
                yield from graphs(inner)


def operators(model):
    count = Counter()
    for graph in [*graphs(model.graph), *model.functions]:
        count.update((node.domain + "." if node.domain not in ("", "ai.onnx") else "") + node.op_type for node in graph.node)
    return dict(sorted(count.items()))


def weights(model):
    """How many parameters a PyTorch module has."""
    return sum(p.numel() for p in model.parameters())


def value(info):
    """The type and shape of a graph's input or output."""
    kind = info.type.WhichOneof("value")
    if kind != "tensor_type":
        return kind
    tensor = info.type.tensor_type
    shape = [str(d.dim_value) if d.HasField("dim_value") else d.dim_param or "?" for d in tensor.shape.dim]
    return f"{TensorProto.DataType.Name(tensor.elem_type).lower()}[{', '.join(shape)}]"


def save_onnx(model, path):
    """Saves without what no reader needs and what differs from run to run or place to place: the exporter's notes on
    source lines, which hold paths of the machine."""
    for graph in [*graphs(model.graph), *model.functions]:
        for node in graph.node:
            del node.metadata_props[:]
            node.doc_string = ""
        for item in list(graph.value_info) + (list(graph.initializer) if hasattr(graph, "initializer") else []):
            del item.metadata_props[:]
            item.doc_string = ""
        del graph.metadata_props[:]
    for item in list(model.graph.input) + list(model.graph.output):
        del item.metadata_props[:]
    del model.metadata_props[:]
    onnx.checker.check_model(model)
    Path(path).write_bytes(model.SerializeToString(deterministic=True))


def run(path, samples):
    """Runs every sample by itself; the outputs are stacked. Maps (ZipMap) are given as dictionaries."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    count = len(next(iter(samples.values())))
    rows = [session.run(None, {name: np.asarray(array[i]) for name, array in samples.items()}) for i in range(count)]
    return {name: stack([row[j] for row in rows]) for j, name in enumerate(names)}


def stack(values):
    return values if isinstance(values[0], list) else np.stack(values)


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def versions(*packages):
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in packages}}


def write(folder, models, calibration, test, labels, manifest, packages):
    """Writes everything but the ONNX files, which are there.

    `models` are file names of one network (exported or quantised in several ways) with what is said of each, its
    figures on the test data included. `calibration` and `test` have one array an input, samples first. `labels` are
    what the test samples should give. Of the first model, what onnxruntime computes for the first samples is kept, as
    much as is small.
    """
    folder = Path(folder)
    np.savez_compressed(folder / "calibration.npz", **calibration)
    np.savez_compressed(folder / "test.npz", **test)
    labels = np.asarray(labels)
    if labels.dtype.kind == "f":
        labels = [float(f"{x:.7g}") for x in labels.ravel()] if labels.ndim == 1 else labels.tolist()
    else:
        labels = labels.tolist()
    (folder / "labels.json").write_text(json.dumps(labels, separators=(",", ":")) + "\n")
    write_input(folder, test)
    first = next(iter(models))
    out = run(folder / first, {name: array[:50] for name, array in test.items()})
    few = max(1, min(50, EXPECTED_NUMBERS // sum(array[0].size for array in out.values())))
    np.savez_compressed(folder / "expected.npz", **{name: array[:few] for name, array in out.items()})
    described = {}
    for name, notes in models.items():
        described[name] = {**notes, **describe(folder / name)}
    text = {
        "format": "vouch-model-manifest",
        "version": 1,
        "name": folder.name,
        **manifest,
        "samples": {"calibration": len(next(iter(calibration.values()))), "test": len(next(iter(test.values()))), "expected": few},
        "models": described,
        "versions": versions("onnx", "onnxruntime", "numpy", *packages),
    }
    write_manifest(folder, text)
    print(folder.name, {name: notes["test"] for name, notes in models.items()})


def write_input(folder, test):
    """The first test sample, floats as they are printed shortest."""
    shortest = lambda x: [shortest(y) for y in x] if x.ndim else (float(str(x)) if x.dtype.kind == "f" else int(x))
    sample = {name: shortest(array[0]) for name, array in test.items()}
    (folder / "input.json").write_text(json.dumps(sample) + "\n")


def describe(path):
    model = onnx.load(path)
    return {
        "exporter": f"{model.producer_name} {model.producer_version}".strip(),
        "opset": {o.domain or "ai.onnx": o.version for o in model.opset_import},
        "inputs": {v.name: value(v) for v in model.graph.input},
        "outputs": {v.name: value(v) for v in model.graph.output},
        "operators": operators(model),
        "bytes": Path(path).stat().st_size,
    }


def write_manifest(folder, text):
    skip = ("manifest.json", "train.py", "fetch.py")
    text["sha256"] = {p.name: digest(p) for p in sorted(folder.iterdir()) if p.is_file() and p.name not in skip}
    lines = ",\n".join(f" {json.dumps(key)}: {pretty(entry, 1)}" for key, entry in text.items())
    (folder / "manifest.json").write_text("{\n" + lines + "\n}\n")


def pretty(entry, depth):
    """JSON that keeps what is short on one line."""
    line = json.dumps(entry, ensure_ascii=False)
    if len(line) + depth < 115 or not isinstance(entry, (dict, list)):
        return line
    if isinstance(entry, dict):
        parts = [f"{json.dumps(k)}: {pretty(v, depth + 1)}" for k, v in entry.items()]
    else:
        parts = [pretty(v, depth + 1) for v in entry]
    inner = "".join(f"\n{' ' * (depth + 1)}{part}," for part in parts)[:-1]
    return line[0] + inner + "\n" + " " * depth + line[-1]


def export(model, example, path, dynamo, inputs, outputs, **options):
    """Exports a PyTorch module by the old exporter (tracing to TorchScript) or the new one (dynamo, torch.export)."""
    torch = torch_ready()
    model.eval()
    with torch.no_grad():
        if dynamo:
            program = torch.onnx.export(
                model, example, dynamo=True, input_names=inputs, output_names=outputs, verbose=False, **options
            )
            proto = program.model_proto
        else:
            torch.onnx.export(
                model, example, str(path), dynamo=False, input_names=inputs, output_names=outputs, **options
            )
            proto = onnx.load(str(path))
    save_onnx(proto, path)
