"""The trained network as an ONNX graph that reads raw integer ticks."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from network import AVERAGED, CLIP, TICKS_PER_UNIT, WINDOW, Network

OPSET = 17
IR_VERSION = 8
"""The oldest file format that carries opset 17."""


class Graph:
    """Nodes and constants in the order in which they are added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        """Adds a constant tensor and gives its name."""
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def node(self, operator: str, name: str, inputs: list[str], **attributes: object) -> str:
        """Adds a node whose single output has the node's name, and gives that name."""
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def columns(self, name: str, source: str, first: int, end: int) -> str:
        """Adds the slice `[:, first:end]` of a matrix."""
        bounds = [
            self.constant(f"{name}_{part}", np.array([value], dtype=np.int64))
            for part, value in (("starts", first), ("ends", end), ("axes", 1))
        ]
        return self.node("Slice", name, [source, *bounds])


def onnx_model(network: Network) -> onnx.ModelProto:
    """`ticks` `[1, WINDOW]` int32 to `weight` `[1, 1]` float32 in `[0, 1]`."""
    graph = Graph()
    prices = graph.node("Cast", "log_price", ["ticks"], to=TensorProto.FLOAT)
    later = graph.columns("later", prices, 1, WINDOW)
    earlier = graph.columns("earlier", prices, 0, WINDOW - 1)
    moves = graph.node("Sub", "move", [later, earlier])
    unit = graph.constant("unit_per_tick", np.array([1.0 / TICKS_PER_UNIT], dtype=np.float32))
    scaled = graph.node("Mul", "scaled_move", [moves, unit])
    low = graph.constant("clip_low", np.array(-CLIP, dtype=np.float32))
    high = graph.constant("clip_high", np.array(CLIP, dtype=np.float32))
    returns = graph.node("Clip", "return", [scaled, low, high])
    minus = graph.constant("minus_one", np.array([-1.0], dtype=np.float32))
    negated = graph.node("Mul", "negated_return", [returns, minus])
    sides = [
        ("up", graph.node("Relu", "up_move", [returns])),
        ("down", graph.node("Relu", "down_move", [negated])),
    ]
    averages = []
    for side, moves in sides:
        for count in AVERAGED:
            latest = moves
            if count < WINDOW - 1:
                latest = graph.columns(f"{side}_latest_{count}", moves, WINDOW - 1 - count, WINDOW - 1)
            mean = graph.node("ReduceMean", f"{side}_mean_{count}", [latest], axes=[1], keepdims=1)
            averages.append(mean)
    values = graph.node("Concat", "features", [returns, *averages], axis=1)
    for index, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True), start=1):
        operands = [
            graph.constant(f"weight_{index}", weight.astype(np.float32)),
            graph.constant(f"bias_{index}", bias.astype(np.float32)),
        ]
        values = graph.node("Gemm", f"linear_{index}", [values, *operands])
        if index < len(network.weights):
            values = graph.node("Relu", f"hidden_{index}", [values])
    graph.node("Sigmoid", "weight", [values])
    proto = helper.make_graph(
        graph.nodes,
        "rebalancer",
        [helper.make_tensor_value_info("ticks", TensorProto.INT32, [1, WINDOW])],
        [helper.make_tensor_value_info("weight", TensorProto.FLOAT, [1, 1])],
        graph.constants,
    )
    model = helper.make_model(
        proto,
        producer_name="vouch-rebalancer",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    return model
