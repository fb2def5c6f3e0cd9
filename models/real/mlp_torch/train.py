"""A perceptron with LayerNorm, GELU and a residual connection on the digits, by both of PyTorch's exporters and in an
old opset too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from common import export, run, torch_ready, weights, write
from digits import SOURCE, SPLIT, digits, figures, fit

HERE = Path(__file__).resolve().parent
torch = torch_ready()
from torch import nn


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm1 = nn.Linear(64, 32), nn.LayerNorm(32)
        self.second, self.norm2 = nn.Linear(32, 32), nn.LayerNorm(32)
        self.tanh_gelu = nn.GELU(approximate="tanh")  # both forms of GELU, as published models have both
        self.gelu = nn.GELU()
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        x = self.gelu(self.norm1(self.first(x)))
        return self.head(x + self.tanh_gelu(self.norm2(self.second(x)))).log_softmax(-1)


model = Mlp()
x_train, x_test, y_train, y_test = digits((64,))
fit(torch, model, x_train, y_train, epochs=40)

test, models = {"pixels": x_test}, {}
# Opset 13 has neither LayerNormalization nor Gelu: their parts are in the graph, as in many published models.
variants = {"model.onnx": (False, {}), "model_dynamo.onnx": (True, {}), "model_opset13.onnx": (False, {"opset_version": 13})}
for name, (dynamo, options) in variants.items():
    export(model, (torch.from_numpy(x_test[0]),), HERE / name, dynamo, ["pixels"], ["log_probabilities"], **options)
    models[name] = {
        "made_by": "torch.onnx.export(" + ", ".join(f"{k}={v}" for k, v in {"dynamo": dynamo, **options}.items()) + ")",
        "test": figures(run(HERE / name, test), y_test, model, x_test, torch),
    }
write(
    HERE, models, {"pixels": x_train[:200]}, test, y_test,
    {"about": "64-32-32-10 with LayerNorm, exact and tanh GELU, log-softmax", "parameters": weights(model), "source": SOURCE, "split": SPLIT},
    ["torch", "onnxscript", "scikit-learn"],
)
