"""Training: full-batch Adam on the utility of the weights that the network sets.

The utility of a weight is mean-variance with a premium that is assumed, not learned: what a few
years of returns say about the next day's direction is noise, and a network of this size memorises it
(it earns a fortune on the years it was trained on and nothing after). What the past does tell is the
risk of the coming days, so that is all the network is asked to read:

    U = mean(w * PREMIUM - RISK_AVERSION / 2 * w^2 * v - COST * |w - w_before|)

where `v` is the mean square of the next `HORIZON` daily returns and `w_before` the weight set the day
before.
"""

from dataclasses import dataclass

import numpy as np

from market import COST, TRADING_DAYS, Windows
from network import Network, features, sigmoid

PREMIUM = 0.05
"""Assumed yearly return of the risk asset over cash."""

RISK_AVERSION = 3.0
"""Price of variance."""

HORIZON = 5
"""Days whose mean square return is the risk that a weight is judged by."""

STEPS = 3000
RATE = 1e-3
DECAY = 1e-4
SMOOTHING = 1e-6
"""Keeps the derivative of `|x|`, taken as `sqrt(x^2 + SMOOTHING)`, finite."""

CHECK_EVERY = 20
"""Steps between two looks at the validation years."""

GRID = 2.0**20
"""Parameters are rounded to multiples of its inverse after every step, so that the last bits in which
one processor's sums differ from another's are dropped before they can grow. Such a weight under 16 is
exact in float32 too."""


@dataclass
class Batch:
    """Every window of a period, series after series, each in order of time."""

    inputs: np.ndarray
    variance: np.ndarray
    """`[n]`: mean square of the next `HORIZON` returns, all inside the period."""
    follows: np.ndarray
    """`[n]`: 1 where the row is the day after the row before it, 0 at the start of a series."""

    @staticmethod
    def of(periods: list[Windows]) -> "Batch":
        """Stacks the windows of several series."""
        inputs, variance, follows = [], [], []
        for period in periods:
            squares = np.convolve(period.returns**2, np.full(HORIZON, 1.0 / HORIZON), mode="valid")
            inputs.append(features(period.ticks[: len(squares)]))
            variance.append(squares)
            follows.append(np.r_[0.0, np.ones(len(squares) - 1)])
        return Batch(np.concatenate(inputs), np.concatenate(variance), np.concatenate(follows))


def utility(weights: np.ndarray, batch: Batch) -> tuple[float, np.ndarray]:
    """Yearly utility of `weights` `[n]` and its gradient `[n]`."""
    step = np.diff(weights, prepend=weights[0]) * batch.follows
    traded = np.sqrt(step**2 + SMOOTHING)
    premium = PREMIUM / TRADING_DAYS
    value = weights * premium - 0.5 * RISK_AVERSION * weights**2 * batch.variance - COST * traded
    of_trade = COST * step / traded
    gradient = premium - RISK_AVERSION * weights * batch.variance - of_trade
    gradient[:-1] += of_trade[1:]
    scale = TRADING_DAYS
    return float(value.mean() * scale), gradient * (scale / len(weights))


def train(train_batch: Batch, validation: Batch, seed: int) -> tuple[Network, dict[str, float]]:
    """The network at the step with the best validation utility, and what that step was."""
    network = Network.new(seed)
    for parameter in network.parameters():
        parameter[...] = np.rint(parameter * GRID) / GRID
    momentum = [np.zeros_like(p) for p in network.parameters()]
    squares = [np.zeros_like(p) for p in network.parameters()]
    best, chosen = {"validation_utility": -np.inf}, network.copy()
    for step in range(1, STEPS + 1):
        values = network.layers(train_batch.inputs)
        weights = sigmoid(values[-1][:, 0])
        reached, of_weights = utility(weights, train_batch)
        gradients = network.gradients(values, -of_weights * weights * (1.0 - weights))
        for index, (parameter, gradient) in enumerate(zip(network.parameters(), gradients, strict=True)):
            if index < len(network.weights):
                gradient = gradient + DECAY * parameter
            momentum[index] += 0.1 * (gradient - momentum[index])
            squares[index] += 0.001 * (gradient**2 - squares[index])
            mean = momentum[index] / (1.0 - 0.9**step)
            spread = np.sqrt(squares[index] / (1.0 - 0.999**step)) + 1e-8
            parameter[...] = np.rint((parameter - RATE * mean / spread) * GRID) / GRID
        if step % CHECK_EVERY == 0:
            held_out = utility(network.weight(validation.inputs), validation)[0]
            if held_out > best["validation_utility"]:
                best = {"step": step, "train_utility": reached, "validation_utility": held_out}
                chosen = network.copy()
    return chosen, {key: round(value, 5) for key, value in best.items()}
