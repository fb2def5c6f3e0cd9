"""A LightGBM classifier on the wine data as onnxmltools writes it: with its default ZipMap, and without."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from common import SEED, np, run, save_onnx, write

from lightgbm import LGBMClassifier
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

HERE = Path(__file__).resolve().parent

x, y = load_wine(return_X_y=True)
x = x.astype(np.float32)
x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, random_state=SEED, stratify=y)
# 50 rounds are 150 trees, one a class and round.
model = LGBMClassifier(
    n_estimators=50, max_depth=6, num_leaves=15, min_child_samples=5, learning_rate=0.1, random_state=SEED, n_jobs=1,
    deterministic=True, force_row_wise=True, verbose=-1,
).fit(x_train, y_train)

test = {"input": x_test[:, None]}
models = {}
for name, zipmap in (("model.onnx", False), ("model_zipmap.onnx", True)):
    onnx_model = convert_lightgbm(model, "lightgbm_cls", [("input", FloatTensorType([1, x.shape[1]]))], zipmap=zipmap)
    save_onnx(onnx_model, HERE / name)
    out = run(HERE / name, test)
    probabilities = out["probabilities"]
    if zipmap:
        probabilities = np.array([[row[0][c] for c in range(3)] for row in probabilities])
    probabilities = probabilities.reshape(len(x_test), 3)
    models[name] = {
        "made_by": "onnxmltools.convert_lightgbm, " + ("as it is by default: ZipMap" if zipmap else "zipmap off"),
        "test": {
            "accuracy": round(float((out["label"][:, 0] == y_test).mean()), 4),
            "labels_as_lightgbm": round(float((out["label"][:, 0] == model.predict(x_test)).mean()), 4),
            "largest_probability_error_to_lightgbm": float(f"{np.abs(probabilities - model.predict_proba(x_test)).max():.2g}"),
        },
    }
trees = model.booster_.trees_to_dataframe()
write(
    HERE,
    models,
    {"input": x_train[:, None]},
    test,
    y_test,
    {
        "about": "LightGBM classifier of three cultivars, 150 trees of depth up to 6",
        "source": "sklearn.datasets.load_wine: UCI Wine, CC BY 4.0",
        "split": "70 % training (all of it calibrates), 30 % held back, stratified",
        "trees": {"count": int(trees.tree_index.nunique()), "nodes": len(trees)},
    },
    ["scikit-learn", "lightgbm", "onnxmltools"],
)
