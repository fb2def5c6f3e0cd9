"""PyTorch's own nn.TransformerEncoderLayer on the digits, each row of pixels a token, by both of PyTorch's exporters."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from common import export, run, torch_ready, weights, write
from digits import SOURCE, SPLIT, digits, figures, fit

HERE = Path(__file__).resolve().parent
torch = torch_ready()
from torch import nn


class Classifier(nn.Module):
    """Eight tokens of eight pixels; attention with four heads; the mean of the tokens is classified."""

    def __init__(self, width=32):
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.position = nn.Parameter(torch.randn(1, 8, width) * 0.1)
        self.block = nn.TransformerEncoderLayer(width, nhead=4, dim_feedforward=64, dropout=0.1, activation="gelu", batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, rows):
        return self.head(self.norm(self.block(self.embed(rows) + self.position).mean(1)))


model = Classifier()
x_train, x_test, y_train, y_test = digits((8, 8))
fit(torch, model, x_train, y_train, epochs=60)
# The fused kernel that PyTorch takes outside of training has no ONNX form.
torch.backends.mha.set_fastpath_enabled(False)

test, models = {"rows": x_test}, {}
for name, dynamo in (("model.onnx", True), ("model_legacy.onnx", False)):
    export(model, (torch.from_numpy(x_test[0]),), HERE / name, dynamo, ["rows"], ["logits"])
    models[name] = {
        "made_by": f"torch.onnx.export(dynamo={dynamo})",
        "test": figures(run(HERE / name, test), y_test, model, x_test, torch),
    }
write(
    HERE, models, {"rows": x_train[:200]}, test, y_test,
    {"about": "one nn.TransformerEncoderLayer (width 32, four heads, feed-forward 64, GELU) and a linear head", "parameters": weights(model), "source": SOURCE, "split": SPLIT},
    ["torch", "onnxscript", "scikit-learn"],
)
