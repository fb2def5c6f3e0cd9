"""Gradient boosting on the Wisconsin breast cancer data: 100 trees of depth up to 6, as skl2onnx writes it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from common import SEED, np, run, save_onnx, write

from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

HERE = Path(__file__).resolve().parent

x, y = load_breast_cancer(return_X_y=True)
x = x.astype(np.float32)
x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, random_state=SEED, stratify=y)
# Nodes of fewer than 20 samples stay whole and every tree sees 80 % of the samples, else most trees fit noise.
model = GradientBoostingClassifier(
    n_estimators=100, max_depth=6, min_samples_split=20, subsample=0.8, learning_rate=0.1, random_state=SEED
).fit(x_train, y_train)

onnx_model = to_onnx(model, x_train[:1], options={"zipmap": False}, name="gbdt_sklearn")
# A batch of one: skl2onnx leaves the batch open, but a proof has one shape.
for value in [*onnx_model.graph.input, *onnx_model.graph.output]:
    value.type.tensor_type.shape.dim[0].dim_value = 1
save_onnx(onnx_model, HERE / "model.onnx")

test = {"X": x_test[:, None]}
out = run(HERE / "model.onnx", test)
probability = out["probabilities"][:, 0, 1]
figures = {
    "accuracy": round(float((out["label"][:, 0] == y_test).mean()), 4),
    "roc_auc": round(float(roc_auc_score(y_test, probability)), 4),
    "labels_as_sklearn": round(float((out["label"][:, 0] == model.predict(x_test)).mean()), 4),
    "largest_probability_error_to_sklearn": float(f"{np.abs(probability - model.predict_proba(x_test)[:, 1]).max():.2g}"),
}
write(
    HERE,
    {"model.onnx": {"made_by": "skl2onnx, zipmap off", "test": figures}},
    {"X": x_train[:, None]},
    test,
    y_test,
    {
        "about": "gradient boosting, 100 trees of depth up to 6, two classes (0 malignant, 1 benign)",
        "source": "sklearn.datasets.load_breast_cancer: UCI Breast Cancer Wisconsin (Diagnostic), CC BY 4.0",
        "split": "70 % training (all of it calibrates), 30 % held back, stratified",
        "trees": {"count": 100, "deepest": int(max(t[0].get_depth() for t in model.estimators_)),
                  "nodes": int(sum(t[0].tree_.node_count for t in model.estimators_))},
    },
    ["scikit-learn", "skl2onnx"],
)
