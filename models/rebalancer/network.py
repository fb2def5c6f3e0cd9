"""The network: fixed features of a window of ticks, and a perceptron with hand-written gradients.

Everything here has a twin in `export.py`, which writes the same computation as an ONNX graph.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

WINDOW = 32
"""Observations that the network reads."""

TICKS_PER_UNIT = 128.0
"""Ticks in one unit of a return. A power of two, so whole ticks stay exact in fixed point."""

CLIP = 6.0
"""Bound of a return in units (768 ticks, about 8 %): one outlier must not decide the weight."""

AVERAGED = (8, 16, 31)
"""Numbers of latest returns whose up-moves and down-moves are averaged."""

FEATURES = WINDOW - 1 + 2 * len(AVERAGED)
"""Inputs of the first layer: every return, then the averages."""

HIDDEN = (40, 24)
"""Widths of the hidden layers."""


def features(ticks: np.ndarray) -> np.ndarray:
    """Features `[n, FEATURES]` of windows `[n, WINDOW]` of ticks; they see differences only."""
    returns = np.clip(np.diff(ticks.astype(np.float64), axis=1) / TICKS_PER_UNIT, -CLIP, CLIP)
    up, down = np.maximum(returns, 0.0), np.maximum(-returns, 0.0)
    averages = [
        side[:, -count:].mean(axis=1, keepdims=True) for side in (up, down) for count in AVERAGED
    ]
    return np.concatenate([returns, *averages], axis=1)


@dataclass
class Network:
    """Weights `[in, out]` and biases `[out]` of each layer, first to last."""

    weights: list[np.ndarray]
    biases: list[np.ndarray]

    @staticmethod
    def new(seed: int) -> "Network":
        """He-initialised hidden layers and a last layer that starts at a weight of one half."""
        rng = np.random.default_rng(seed)
        widths = (FEATURES, *HIDDEN, 1)
        weights = [
            rng.standard_normal((fan_in, fan_out)) * np.sqrt(2.0 / fan_in)
            for fan_in, fan_out in pairwise(widths)
        ]
        weights[-1] *= 0.1
        return Network(weights, [np.zeros(width) for width in widths[1:]])

    def parameters(self) -> list[np.ndarray]:
        """Every array that training changes."""
        return [*self.weights, *self.biases]

    def copy(self) -> "Network":
        """A copy that later training leaves alone."""
        return Network([w.copy() for w in self.weights], [b.copy() for b in self.biases])

    def layers(self, inputs: np.ndarray) -> list[np.ndarray]:
        """`inputs`, then each layer's values: hidden ones behind their ReLU, the last before its sigmoid."""
        values = [inputs]
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            linear = values[-1] @ weight + bias
            values.append(linear if index == len(self.weights) - 1 else np.maximum(linear, 0.0))
        return values

    def weight(self, inputs: np.ndarray) -> np.ndarray:
        """Target weight `[n]` of the risk asset, in `[0, 1]`, for features `[n, FEATURES]`."""
        return sigmoid(self.layers(inputs)[-1][:, 0])

    def gradients(self, values: list[np.ndarray], of_last: np.ndarray) -> list[np.ndarray]:
        """Gradients in the order of `parameters`, from `layers` and the gradient of the last layer `[n]`."""
        of_weights: list[np.ndarray] = []
        of_biases: list[np.ndarray] = []
        gradient = of_last[:, None]
        for index in reversed(range(len(self.weights))):
            of_weights.insert(0, values[index].T @ gradient)
            of_biases.insert(0, gradient.sum(axis=0))
            if index > 0:
                gradient = (gradient @ self.weights[index].T) * (values[index] > 0.0)
        return [*of_weights, *of_biases]


def sigmoid(x: np.ndarray) -> np.ndarray:
    """The logistic function."""
    return 1.0 / (1.0 + np.exp(-x))
