"""Takes Magika (which type a file has) out of its package, and makes its input data from files of other packages.

    fetch.py [OUT]

The ONNX file goes to OUT, target/real/magika by default; the data beside this script are written again. They are of
the files that requirements.txt installs.
"""

import json
import random
import sys
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import SEED, describe, np, onnx, run, versions, write_input, write_manifest
from packages import download, read

OUT = Path(sys.argv[1]) if sys.argv[1:] else HERE.parents[2] / "target" / "real" / "magika"
VERSION = "1.0.3"
WHEEL = "3e9b49134e8116ee40b431664dcbed9e199413efddcce1a173c734b4e0521529"
MODEL = "magika/models/standard_v3_3/"
# Which type a file is by its name; Magika only sees its bytes. No package is in both parts.
PARTS = {
    "calibration": ("scikit-learn", "numpy", "pandas", "vega-datasets", "lightgbm"),
    "test": ("torch", "scipy", "onnx", "arch", "statsmodels", "xgboost", "onnxmltools"),
}
TYPES = {
    ".py": "python", ".csv": "csv", ".json": "json", ".so": "elf", ".gz": "gzip", ".html": "html", ".css": "css",
    ".js": "javascript", ".md": "markdown", ".rst": "rst", ".cpp": "cpp", ".cc": "cpp", ".cmake": "cmake", ".png": "png",
    ".jpg": "jpeg", ".npz": "npz", ".yaml": "yaml", ".proto": "proto", ".toml": "toml", ".pyi": "python",
}
EACH = {"calibration": 5, "test": 4}


def features(content, config):
    """The first and the last bytes without the blanks around them, padded; as magika's own reader takes them."""
    block, padding = config["block_size"], [config["padding_token"]]
    first = list(content[:block].lstrip()[: config["beg_size"]])
    last = list(content[-block:].rstrip()[-config["end_size"] :])
    return first + padding * (config["beg_size"] - len(first)) + padding * (config["end_size"] - len(last)) + last


def files(packages):
    """Some files of each type, always the same ones (of the wheels for Linux on x86-64)."""
    found = {}
    for package in packages:
        for file in metadata.files(package):
            kind = TYPES.get(file.suffix.lower())
            path = Path(file.locate())
            if kind and ".." not in file.parts and path.is_file() and path.stat().st_size >= 64:
                found.setdefault(kind, []).append((str(file), path))
    pick = random.Random(SEED)
    return {kind: pick.sample(sorted(rows), len(rows)) for kind, rows in sorted(found.items())}


wheel = download(f"magika=={VERSION}", WHEEL, OUT / "packages")
(OUT / "model.onnx").write_bytes(read(wheel, MODEL + "model.onnx"))
config = json.loads(read(wheel, MODEL + "config.min.json"))
labels = config["target_labels_space"]

data, kinds, names = {}, {}, {}
for part, packages in PARTS.items():
    rows = [(kind, name, path) for kind, some in files(packages).items() for name, path in some[: EACH[part]]]
    data[part] = np.array([[features(path.read_bytes(), config)] for _, _, path in rows], np.int32)
    kinds[part], names[part] = [kind for kind, _, _ in rows], [name for _, name, _ in rows]
    np.savez_compressed(HERE / f"{part}.npz", bytes=data[part])

out = run(OUT / "model.onnx", {"bytes": data["test"]})
write_input(HERE, {"bytes": data["test"]})
probability = out["target_label"][:, 0]
np.savez_compressed(HERE / "expected.npz", target_label=out["target_label"])
(HERE / "labels.json").write_text(json.dumps([labels.index(kind) for kind in kinds["test"]], separators=(",", ":")) + "\n")
correct = [labels[i] == kind for i, kind in zip(probability.argmax(1), kinds["test"])]
model = onnx.load(OUT / "model.onnx")
write_manifest(
    HERE,
    {
        "format": "vouch-model-manifest",
        "version": 1,
        "name": "magika",
        "about": "Magika: which of 214 types a file has, by its first and last 1024 bytes (256 stands for no byte)",
        "parameters": int(sum(np.prod(t.dims) for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT)),
        "source": f"magika {VERSION}, Apache-2.0; the files are of the packages below, as requirements.txt pins them",
        "data": {
            **{part: list(packages) for part, packages in PARTS.items()},
            "labels": "the type that the file's name says, as index into target_labels_space of the package's config.min.json",
            "wrong": {name: labels[i] for name, i, good in zip(names["test"], probability.argmax(1), correct) if not good},
        },
        "samples": {"calibration": len(data["calibration"]), "test": len(data["test"]), "expected": len(data["test"])},
        "models": {
            "model.onnx": {
                "shipped_as": MODEL + "model.onnx",
                "fixed": {"batch": 1},
                "test": {"accuracy": round(float(np.mean(correct)), 4)},
                **describe(OUT / "model.onnx"),
            }
        },
        "versions": versions("onnx", "onnxruntime", "numpy", *sorted({p for ps in PARTS.values() for p in ps})),
        "packages_sha256": {"wheel": WHEEL},
    },
)
print(np.mean(correct), [(n, k, labels[i]) for n, k, i, g in zip(names["test"], kinds["test"], probability.argmax(1), correct) if not g])
from collections import Counter
print({p: Counter(k) for p, k in kinds.items()})
