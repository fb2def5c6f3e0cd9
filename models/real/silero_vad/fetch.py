"""Takes Silero VAD (voice activity detection) out of its package, and makes its input data from the speech it is tested with.

    fetch.py [OUT]

The ONNX files go to OUT, target/real/silero_vad by default; the data beside this script are written again.
"""

import io
import sys
import wave
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import describe, np, onnx, run, versions, write_input, write_manifest
from packages import download, read

OUT = Path(sys.argv[1]) if sys.argv[1:] else HERE.parents[2] / "target" / "real" / "silero_vad"
VERSION = "6.2.3"
WHEEL = "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8"
SOURCE = "d7a23b09202be4953915cb9173089bb307eed0418a9bd4794d9ec5af07fa1996"
# What the package calls them. The first has static shapes and no branches; the last is what the package loads itself.
FILES = {
    "model.onnx": "silero_vad_openvino_16k.onnx",
    "model_one_if.onnx": "silero_vad_op18_ifless.onnx",
    "model_default.onnx": "silero_vad.onnx",
}
CHUNK, CONTEXT, RATE = 512, 64, 16000


def chunks(archive, name, model):
    """Each chunk of a recording with the samples before it and the state that the network is then in."""
    with wave.open(io.BytesIO(read(archive, name))) as recording:
        assert (recording.getframerate(), recording.getnchannels(), recording.getsampwidth()) == (RATE, 1, 2)
        sound = np.frombuffer(recording.readframes(recording.getnframes()), np.int16)
    sound = np.concatenate([np.zeros(CONTEXT, np.int16), sound]).astype(np.float32) / 32768
    inputs, states, speech, state = [], [], [], np.zeros((2, 1, 128), np.float32)
    session = onnx_session(model)
    for end in range(CONTEXT + CHUNK, len(sound) + 1, CHUNK):
        inputs.append(sound[None, end - CHUNK - CONTEXT : end])
        states.append(state)
        probability, state = session.run(None, {"input": inputs[-1], "state": state})
        speech.append(probability[0, 0])
    return np.stack(inputs), np.stack(states), np.array(speech)


def onnx_session(path):
    import onnxruntime as ort

    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def spread(count, speech):
    """Chunks of every kind: evenly over what the network says of them, so that the rare uncertain ones are there."""
    order = np.argsort(speech, kind="stable")
    even = np.linspace(0, len(order) - 1, count // 2).astype(int)
    wanted = np.linspace(0, 1, count - count // 2)
    middle = np.abs(speech[order][None] - wanted[:, None]).argmin(1)
    return np.sort(np.unique(order[np.concatenate([even, middle])]))


wheel = download(f"silero-vad=={VERSION}", WHEEL, OUT / "packages")
source = download(f"silero-vad=={VERSION}", SOURCE, OUT / "packages", source=True)
for name, shipped in FILES.items():
    (OUT / name).write_bytes(read(wheel, f"silero_vad/data/{shipped}"))
(HERE / "LICENSE.silero-vad").write_bytes(read(source, "LICENSE"))

# Two recordings: one calibrates, the other one is held back.
data = {}
for part, name, count in (("calibration", "tests/data/test.wav", 100), ("test", "examples/c++/aepyx.wav", 60)):
    inputs, states, speech = chunks(source, name, OUT / "model.onnx")
    kept = spread(count, speech)
    data[part] = {"input": inputs[kept], "state": states[kept]}
    np.savez_compressed(HERE / f"{part}.npz", **data[part])
    data[part + "_share"] = round(float((speech > 0.5).mean()), 3)
test = data["test"]
out = run(OUT / "model.onnx", test)
write_input(HERE, test)
np.savez_compressed(HERE / "expected.npz", output=out["output"], stateN=out["stateN"][:20])

models = {}
for name, shipped in FILES.items():
    inputs = {i.name for i in onnx.load(OUT / name).graph.input}
    fixed = {"sr": np.full(len(test["input"]), RATE)} if "sr" in inputs else {}
    error = np.abs(run(OUT / name, {**test, **fixed})["output"] - out["output"]).max()
    models[name] = {
        "shipped_as": f"silero_vad/data/{shipped}",
        **({"fixed": {"sr": RATE, "batch": 1, "sequence": CHUNK + CONTEXT}} if fixed else {}),
        "test": {"largest_difference_to_model.onnx": float(f"{error:.2g}")},
        **describe(OUT / name),
    }
floats = [a.t for n in onnx.load(OUT / "model.onnx").graph.node for a in n.attribute if a.name == "value" and a.t.data_type == 1]
write_manifest(
    HERE,
    {
        "format": "vouch-model-manifest",
        "version": 1,
        "name": "silero_vad",
        "about": "Silero VAD: probability of speech in 32 ms of sound at 16 kHz; a recurrent network, the state goes in and out",
        "parameters": int(sum(np.prod(t.dims) for t in floats if len(t.dims))),
        "source": f"silero-vad {VERSION}, MIT licence (LICENSE.silero-vad); the recordings are of its source archive",
        "data": {
            "calibration": "tests/data/test.wav, 60 s",
            "test": "examples/c++/aepyx.wav, 169 s",
            "labels": "none: the recordings have none, so there is no accuracy; expected.npz has what onnxruntime computes",
            "share_of_speech": {"calibration": data["calibration_share"], "test": data["test_share"]},
            "choice": "half of the chunks evenly by their probability's rank, half evenly by the probability",
        },
        "samples": {"calibration": len(data["calibration"]["input"]), "test": len(test["input"]), "expected": len(test["input"])},
        "models": models,
        "versions": versions("onnx", "onnxruntime", "numpy"),
        "packages_sha256": {"wheel": WHEEL, "source": SOURCE},
    },
)
print({name: notes["test"] for name, notes in models.items()}, data["calibration_share"], data["test_share"])
