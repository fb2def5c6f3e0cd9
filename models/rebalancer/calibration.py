"""Calibration windows: what a quantiser has to see so that ordinary and hostile markets stay provable.

A quantiser gives every tensor the range it has on these windows, and an input that leaves a range has
no proof. So beside real windows there are some that drive the network to the edges of what any window
can do: moves are clipped to `CLIP`, so every feature is bounded and so is every neuron.
"""

from collections.abc import Callable

import numpy as np

from network import AVERAGED, CLIP, TICKS_PER_UNIT, WINDOW, Network, features

LEVELS = (0, -276_324, 276_324, -700_000, 700_000)
"""Added to real windows in turn. A pool's tick is off the plain price's by `log_1.0001(10^d)` for `d`
more decimals in one token than in the other: 276,324 ticks for 12."""

JUMP = 12_000
"""Ticks of the largest single move that the ranges cover (a factor of 3.3); the largest in the data is
a third of that."""

EDGE = int(CLIP * TICKS_PER_UNIT)
"""Ticks at which a move is clipped."""


def from_moves(moves: np.ndarray) -> np.ndarray:
    """Windows `[n, WINDOW]` that start at tick 0 and make the moves `[n, WINDOW - 1]`."""
    start = np.zeros((len(moves), 1), dtype=np.int64)
    return np.concatenate([start, np.cumsum(moves.astype(np.int64), axis=1)], axis=1)


def real(windows: np.ndarray, count: int) -> np.ndarray:
    """`count` of the windows, evenly spread, at other price levels, every second one upside down."""
    chosen = windows[np.linspace(0, len(windows) - 1, count).astype(int)].copy()
    chosen[1::2] = 2 * chosen[1::2, :1] - chosen[1::2]
    chosen += np.resize(np.array(LEVELS), count)[:, None]
    return chosen


def jumps(windows: np.ndarray) -> np.ndarray:
    """Windows with a move of `JUMP` ticks, up and down, at the first, the middle and the last place."""
    stressed = []
    for index, (place, move) in enumerate((p, m) for p in (1, WINDOW // 2, WINDOW - 1) for m in (JUMP, -JUMP)):
        window = windows[index * len(windows) // 6].copy()
        window[place:] += move - (window[place] - window[place - 1])
        stressed.append(window)
    return np.stack(stressed)


def first_layer_extremes(network: Network) -> np.ndarray:
    """For each neuron of the first layer, the windows that make it largest and smallest.

    Exact: a neuron is a sum over moves of functions that are linear on each side of zero, so each
    move is best at zero or at an edge whatever the others are.
    """
    choices = np.array([-CLIP, 0.0, CLIP])
    windows = []
    for neuron in network.weights[0].T:
        gain = neuron[: WINDOW - 1, None] * choices
        for side, part in ((0, np.maximum(choices, 0.0)), (1, np.maximum(-choices, 0.0))):
            for index, count in enumerate(AVERAGED):
                share = neuron[WINDOW - 1 + side * len(AVERAGED) + index] / count
                gain[-count:] += share * part
        windows += [choices[gain.argmax(axis=1)], choices[gain.argmin(axis=1)]]
    return from_moves(np.stack(windows) * TICKS_PER_UNIT)


def climb(score: Callable[[np.ndarray], np.ndarray], start: np.ndarray) -> np.ndarray:
    """Moves `[WINDOW - 1]` from which no change of one move to zero or an edge raises `score`."""
    moves = start.copy()
    reached = score(from_moves(moves[None]))[0]
    while True:
        trials = np.repeat(moves[None], 3 * len(moves), axis=0)
        rows = np.arange(len(trials))
        trials[rows, rows // 3] = (rows % 3 - 1) * EDGE
        scores = score(from_moves(trials))
        if scores.max() <= reached + 1e-9:
            return moves
        moves, reached = trials[scores.argmax()], scores.max()


def deep_extremes(network: Network, starts: np.ndarray) -> np.ndarray:
    """The same for the later layers, by climbing from the best of `starts`: found, not proven, so the
    quantiser's head-room covers the rest."""
    found = []
    for layer in range(1, len(network.weights)):

        def linear(windows: np.ndarray, layer: int = layer) -> np.ndarray:
            values = network.layers(features(windows))
            return values[layer] @ network.weights[layer] + network.biases[layer]

        for neuron in range(network.weights[layer].shape[1]):
            for sign in (1.0, -1.0):

                def score(windows: np.ndarray, neuron: int = neuron, sign: float = sign) -> np.ndarray:
                    return sign * linear(windows)[:, neuron]

                found.append(climb(score, np.diff(starts[score(starts).argmax()])))
    return from_moves(np.stack(found))


def samples(network: Network, windows: np.ndarray, count: int) -> np.ndarray:
    """Every calibration window, `[n, WINDOW]`."""
    flat = np.zeros((1, WINDOW), dtype=np.int64)
    first = first_layer_extremes(network)
    parts = [flat, real(windows, count), jumps(windows), first, deep_extremes(network, first)]
    return np.unique(np.concatenate(parts), axis=0)


def escapes(network: Network, windows: np.ndarray, seed: int, trials: int) -> float:
    """Largest value of any neuron on random windows of edge moves, as a share of its range on
    `windows`: at most 1 where the ranges hold."""
    rng = np.random.default_rng(seed)
    moves = rng.integers(-1, 2, size=(trials, WINDOW - 1)) * EDGE
    moves[::2] = np.sign(moves[::2]) * rng.integers(0, EDGE + 1, size=moves[::2].shape)
    inside, outside = features(windows), features(from_moves(moves))
    shares = []
    for index in range(len(network.weights)):
        linear = [
            network.layers(inputs)[index] @ network.weights[index] + network.biases[index]
            for inputs in (inside, outside)
        ]
        shares.append(np.max(np.abs(linear[1]).max(axis=0) / np.abs(linear[0]).max(axis=0)))
    return round(float(max(shares)), 4)
