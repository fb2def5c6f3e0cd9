"""A convolutional network with batch normalisation and residual blocks on the digits, by both of PyTorch's exporters."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from common import export, run, torch_ready, weights, write
from digits import SOURCE, SPLIT, digits, figures, fit

HERE = Path(__file__).resolve().parent
torch = torch_ready()
from torch import nn


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        self.conv2, self.norm2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)

    def forward(self, x):
        return torch.relu(x + self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x))))))


model = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(), Block(12), nn.MaxPool2d(2),
    nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(24, 10),
)
x_train, x_test, y_train, y_test = digits((1, 8, 8))
fit(torch, model, x_train, y_train, epochs=30)

test, models = {"image": x_test}, {}
for name, dynamo in (("model.onnx", False), ("model_dynamo.onnx", True)):
    export(model, (torch.from_numpy(x_test[0]),), HERE / name, dynamo, ["image"], ["logits"])
    models[name] = {
        "made_by": f"torch.onnx.export(dynamo={dynamo})",
        "test": figures(run(HERE / name, test), y_test, model, x_test, torch),
    }
write(
    HERE, models, {"image": x_train[:200]}, test, y_test,
    {"about": "residual convolutional network, digits of 8 by 8 pixels", "parameters": weights(model), "source": SOURCE, "split": SPLIT},
    ["torch", "onnxscript", "scikit-learn"],
)
