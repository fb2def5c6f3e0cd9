"""An XGBoost regressor on the diabetes data: 100 trees of depth up to 6, as onnxmltools writes it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from common import SEED, np, run, save_onnx, write

from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.datasets import load_diabetes
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import train_test_split
from xgboost import XGBRegressor

HERE = Path(__file__).resolve().parent

x, y = load_diabetes(return_X_y=True, scaled=False)
x = x.astype(np.float32)
x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, random_state=SEED)
# 309 samples carry little: small steps on half of the features, and leaves of at least 5 samples.
model = XGBRegressor(
    n_estimators=100, max_depth=6, learning_rate=0.04, subsample=0.7, colsample_bytree=0.5, min_child_weight=5,
    reg_lambda=5.0, random_state=SEED, n_jobs=1, tree_method="exact",
).fit(x_train, y_train)

onnx_model = convert_xgboost(model, "xgboost_reg", [("input", FloatTensorType([1, x.shape[1]]))])
save_onnx(onnx_model, HERE / "model.onnx")

test = {"input": x_test[:, None]}
out = next(iter(run(HERE / "model.onnx", test).values())).reshape(len(x_test))
figures = {
    "r2": round(float(r2_score(y_test, out)), 4),
    "mean_absolute_error": round(float(mean_absolute_error(y_test, out)), 2),
    "mean_absolute_error_of_mean": round(float(mean_absolute_error(y_test, np.full(len(y_test), y_train.mean()))), 2),
    "largest_error_to_xgboost": float(f"{np.abs(out - model.predict(x_test)).max():.2g}"),
}
frame = model.get_booster().trees_to_dataframe()
write(
    HERE,
    {"model.onnx": {"made_by": "onnxmltools.convert_xgboost", "test": figures}},
    {"input": x_train[:, None]},
    test,
    y_test,
    {
        "about": "XGBoost regression of disease progression after a year, 100 trees of depth up to 6, features not scaled",
        "source": "sklearn.datasets.load_diabetes(scaled=False): Efron, Hastie, Johnstone, Tibshirani, Least Angle Regression (2004)",
        "split": "70 % training (all of it calibrates), 30 % held back",
        "trees": {"count": int(frame.Tree.nunique()), "nodes": len(frame)},
    },
    ["scikit-learn", "xgboost", "onnxmltools"],
)
