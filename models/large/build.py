"""Writes networks of real shapes and random weights, to measure what size costs.

    build.py OUT [NAME...]

Each network is a folder in the layout of models/benchmark. Weights are seeded and scaled by He's rule, so that values
keep the range they have in trained networks.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SAMPLES = 4


class Net:
    """A graph under construction; `x` is the value that the next layer reads."""

    def __init__(self, name, shape):
        self.name, self.shape = name, shape
        self.rng = np.random.default_rng(7)
        self.nodes, self.weights = [], []
        self.x, self.channels = "input", shape[1]

    def parameter(self, shape, scale):
        name = f"w{len(self.weights)}"
        values = (self.rng.standard_normal(shape) * scale).astype(np.float32)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def constant(self, values):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(self, op, inputs, **attributes):
        out = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [out], name=f"{op.lower()}_{len(self.nodes)}", **attributes))
        self.x = out
        return out

    def conv(self, channels, kernel, stride=1, groups=1, x=None, pad=None):
        inner = self.channels // groups
        pad = kernel // 2 if pad is None else pad
        w = self.parameter((channels, inner, kernel, kernel), (2 / (inner * kernel * kernel)) ** 0.5)
        self.channels = channels
        self.node("Conv", [x or self.x, w], strides=[stride] * 2, pads=[pad] * 4, kernel_shape=[kernel] * 2, group=groups)
        ones, zeros = np.ones(channels, np.float32), np.zeros(channels, np.float32)
        shift = self.parameter((channels,), 0.1)
        return self.node("BatchNormalization", [self.x, *map(self.constant, (ones,)), shift, *map(self.constant, (zeros, ones))])

    def relu(self):
        return self.node("Relu", [self.x])

    def relu6(self):
        return self.node("Clip", [self.x, self.constant(np.float32(0)), self.constant(np.float32(6))])

    def dense(self, inner, width):
        w = self.parameter((inner, width), (2 / inner) ** 0.5)
        return self.node("Gemm", [self.x, w, self.parameter((width,), 0.1)])

    def save(self, out):
        folder = out / self.name
        folder.mkdir(parents=True, exist_ok=True)
        result = helper.make_tensor_value_info(self.x, TensorProto.FLOAT, None)
        given = helper.make_tensor_value_info("input", TensorProto.FLOAT, self.shape)
        graph = helper.make_graph(self.nodes, self.name, [given], [result], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        model = onnx.shape_inference.infer_shapes(model)
        onnx.checker.check_model(model)
        onnx.save(model, folder / "network.onnx")
        samples = self.rng.uniform(0, 1, (SAMPLES, *self.shape[1:])).astype(np.float32)
        flat = [float(f"{v:.4f}") for v in samples.reshape(-1)]
        (folder / "calib.json").write_text(json.dumps({"input_data": [flat]}))
        (folder / "input.json").write_text(json.dumps({"input_data": [flat[: samples[0].size]]}))
        np.savez(folder / "test.npz", x=np.asarray(flat, np.float32).reshape(samples.shape))


def resnet18(name="resnet18", size=32):
    """ResNet-18 as it is used on CIFAR: a 3 by 3 stem without pooling, 11.2 million parameters."""
    net = Net(name, [1, 3, size, size])
    net.conv(64, 3)
    net.relu()
    for channels, first in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for stride in (first, 1):
            before, inputs = net.x, net.channels
            net.conv(channels, 3, stride)
            net.relu()
            branch = net.conv(channels, 3)
            if stride != 1 or inputs != channels:
                net.channels = inputs
                before = net.conv(channels, 1, stride, x=before, pad=0)
            net.node("Add", [branch, before])
            net.relu()
    net.node("GlobalAveragePool", [net.x])
    net.node("Flatten", [net.x])
    net.dense(512, 10)
    return net


def mobilenet_v2(name="mobilenet_v2", size=32):
    """The blocks of MobileNetV2 on small images: 17 inverted residuals, 2.2 million parameters."""
    net = Net(name, [1, 3, size, size])
    net.conv(32, 3, 2)
    net.relu6()
    blocks = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 1), (6, 320, 1, 1))
    for expansion, channels, repeats, first in blocks:
        for i in range(repeats):
            before, inputs, stride = net.x, net.channels, first if i == 0 else 1
            hidden = inputs * expansion
            if expansion != 1:
                net.conv(hidden, 1, pad=0)
                net.relu6()
            net.conv(hidden, 3, stride, groups=hidden)
            net.relu6()
            net.conv(channels, 1, pad=0)
            if stride == 1 and inputs == channels:
                net.node("Add", [net.x, before])
    net.conv(1280, 1, pad=0)
    net.relu6()
    net.node("GlobalAveragePool", [net.x])
    net.node("Flatten", [net.x])
    net.dense(1280, 10)
    return net


def mlp(name, width, layers=3):
    """Dense layers of one width; `layers * width^2` parameters, about."""
    net = Net(name, [1, width])
    for layer in range(layers):
        net.dense(width, width)
        if layer + 1 < layers:
            net.relu()
    return net


def cnn(name, size):
    """Two convolutions and a pooling at a resolution that rises."""
    net = Net(name, [1, 3, size, size])
    net.conv(8, 3)
    net.relu()
    net.conv(8, 3, 2)
    net.relu()
    net.node("GlobalAveragePool", [net.x])
    net.node("Flatten", [net.x])
    net.dense(8, 10)
    return net


NETWORKS = {
    "resnet18": resnet18,
    "mobilenet_v2": mobilenet_v2,
    **{f"mlp_{width}": (lambda width: lambda: mlp(f"mlp_{width}", width))(width) for width in (18, 36, 72, 144, 288, 576, 1152)},
    **{f"cnn_{size}": (lambda size: lambda: cnn(f"cnn_{size}", size))(size) for size in (8, 16, 24, 32, 48, 64)},
}

if __name__ == "__main__":
    out, names = Path(sys.argv[1]), sys.argv[2:] or list(NETWORKS)
    for name in names:
        NETWORKS[name]().save(out)
        print(name, (out / name / "network.onnx").stat().st_size)
