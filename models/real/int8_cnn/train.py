"""A small CNN on the digits, quantised to 8 bits by onnxruntime: as QDQ and as QOperator (QLinearConv and the like)."""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from common import export, onnx, run, save_onnx, torch_ready, weights, write
from digits import SOURCE, SPLIT, digits, figures, fit

from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

HERE = Path(__file__).resolve().parent
torch = torch_ready()
from torch import nn


class Samples(CalibrationDataReader):
    def __init__(self, name, samples):
        self.rows = ({name: sample} for sample in samples)

    def get_next(self):
        return next(self.rows, None)


class Residual(nn.Module):
    """Brings an addition of two quantised values into the graph."""

    def __init__(self, channels):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)

    def forward(self, x):
        return torch.relu(x + self.norm(self.conv(x)))


model = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), Residual(8),
    nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(64, 10),
)
x_train, x_test, y_train, y_test = digits((1, 8, 8))
fit(torch, model, x_train, y_train, epochs=30)
calibration, test = x_train[:200], {"image": x_test}

export(model, (torch.from_numpy(x_test[0]),), HERE / "float.onnx", False, ["image"], ["logits"])
models = {}
# QDQ as onnxruntime recommends it, and QOperator with the unsigned activations that its x86 kernels are made for.
forms = {
    "model.onnx": (QuantFormat.QDQ, QuantType.QInt8, True),
    "model_qoperator.onnx": (QuantFormat.QOperator, QuantType.QUInt8, False),
}
for name, (form, activations, per_channel) in forms.items():
    with tempfile.TemporaryDirectory() as scratch:
        prepared, quantised = Path(scratch, "prepared.onnx"), Path(scratch, "quantised.onnx")
        quant_pre_process(str(HERE / "float.onnx"), str(prepared))
        quantize_static(
            str(prepared), str(quantised), Samples("image", calibration), quant_format=form, per_channel=per_channel,
            activation_type=activations, weight_type=QuantType.QInt8,
        )
        save_onnx(onnx.load(str(quantised)), HERE / name)
    models[name] = {
        "made_by": f"onnxruntime quantize_static, {form.name}, activations {activations.name}, weights QInt8"
        + (" a channel" if per_channel else " a tensor"),
        "test": figures(run(HERE / name, test), y_test, model, x_test, torch),
    }
models["float.onnx"] = {
    "made_by": "torch.onnx.export(dynamo=False)",
    "test": figures(run(HERE / "float.onnx", test), y_test, model, x_test, torch),
}
write(
    HERE, models, {"image": calibration}, test, y_test,
    {"about": "convolutional network with one residual connection, digits of 8 by 8 pixels", "parameters": weights(model), "source": SOURCE, "split": SPLIT},
    ["torch", "scikit-learn"],
)
