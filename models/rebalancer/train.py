"""Trains the rebalancer and writes every file of this folder that is not source.

    python train.py

The same versions (`requirements.txt`) give the same bytes; `manifest.json` says how good it is.
"""

import os
import sys

# Before numpy is loaded: sums split over threads depend on how many there are.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
# Before the parts are loaded: this folder holds only what is committed.
sys.dont_write_bytecode = True

import hashlib
import json
import platform
from importlib import metadata
from pathlib import Path

import numpy as np
import onnxruntime

import calibration
from export import onnx_model
from market import COST, SOURCES, Series, figures, load, package_bytes, windows
from network import TICKS_PER_UNIT, WINDOW, Network, features
from training import HORIZON, PREMIUM, RISK_AVERSION, Batch, train, utility

FOLDER = Path(__file__).resolve().parent
SEED = 1
PERIODS = {
    "train": ("1986-01-01", "2009-12-31"),
    "validation": ("2010-01-01", "2013-12-31"),
    "test": ("2014-01-01", "2018-12-31"),
}
"""First day on which a weight may be set, last day whose price may be used."""

DEMO = "nasdaq"
"""Series that the market replay and the sample input come from; chosen before any test figure was
seen."""

REAL_SAMPLES = 256
LINE = 240
"""Columns of a line of the written JSON."""

TEST_SAMPLES_EACH = 64
ESCAPE_TRIALS = 50_000
TOLERANCE = 1e-5
"""Largest difference between the exported graph and the trained network."""


def render(value: object, depth: int = 0) -> str:
    """JSON that breaks a line only where a value would not fit on one."""
    flat = json.dumps(value)
    if len(flat) + depth <= LINE or not isinstance(value, (dict, list)):
        return flat
    if isinstance(value, list) and not isinstance(value[0], (dict, list)):
        return flat
    entries = (
        [f"{json.dumps(key)}: {render(entry, depth + 1)}" for key, entry in value.items()]
        if isinstance(value, dict)
        else [render(entry, depth + 1) for entry in value]
    )
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    inner = ",\n".join(" " * (depth + 1) + entry for entry in entries)
    return f"{opening}\n{inner}\n{' ' * depth}{closing}"


def write(name: str, value: object) -> None:
    """Writes a JSON file."""
    (FOLDER / name).write_text(render(value) + "\n")


def digest(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def check_export(model: bytes, network: Network, inputs: np.ndarray) -> None:
    """Refuses an exported graph that does not compute what was trained."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for window in inputs:
        exported = session.run(["weight"], {"ticks": window[None].astype(np.int32)})[0].item()
        trained = network.weight(features(window[None]))[0]
        if abs(exported - trained) > TOLERANCE:
            raise SystemExit(f"model.onnx gives {exported} where the network gives {trained} for {window}")


def strategies(weights: np.ndarray, returns: np.ndarray) -> dict[str, dict[str, float]]:
    """Figures of the network's weights and of portfolios that know nothing."""
    ones = np.ones_like(returns)
    return {
        "model": figures(weights, returns),
        "buy_and_hold": figures(ones, returns),
        "constant_half": figures(0.5 * ones, returns),
        "constant_at_model_mean": figures(weights.mean() * ones, returns),
    }


def objective(network: Network, batch: Batch) -> dict[str, float]:
    """What was trained for, the utility with the assumed premium, beside the best that a constant weight
    could have had, known only afterwards."""
    constants = np.linspace(0.0, 1.0, 101)
    reached = [utility(np.full_like(batch.variance, constant), batch)[0] for constant in constants]
    values = {
        "model": utility(network.weight(batch.inputs), batch)[0],
        "best_constant": max(reached),
        "best_constant_weight": constants[int(np.argmax(reached))],
        "buy_and_hold": reached[-1],
    }
    return {key: round(float(value), 5) for key, value in values.items()}


def sources() -> dict[str, object]:
    """Where the data come from."""
    return {
        "package": "arch",
        "version": metadata.version("arch"),
        "licence": "NCSA (LICENSE.arch.md); the package ships the series as data for its examples",
        "series": {
            name: {"title": title, "file": f"{package}/{file}", "column": column, "sha256": digest(package_bytes(name))}
            for name, (package, file, column, title) in SOURCES.items()
        },
    }


def market_files(series: dict[str, Series]) -> None:
    """`prices.json`, the replay; `test.json`, windows that nothing was fitted to; `input.json`, one."""
    first, last = PERIODS["test"]
    demo = series[DEMO]
    days = (first <= demo.dates) & (demo.dates <= last)
    prices = {
        "format": "vouch-price-history",
        "version": 1,
        "series": DEMO,
        "title": SOURCES[DEMO][3],
        "dates": demo.dates[days].tolist(),
        "closes": demo.prices[days].tolist(),
        "ticks": demo.ticks[days].tolist(),
    }
    write("prices.json", prices)
    held_out = {name: windows(one, first, last).ticks for name, one in series.items()}
    chosen = [
        of_series[np.linspace(0, len(of_series) - 1, TEST_SAMPLES_EACH).astype(int)]
        for of_series in held_out.values()
    ]
    write("test.json", {"ticks": [[window.tolist()] for window in np.concatenate(chosen)]})
    write("input.json", {"ticks": [held_out[DEMO][-1].tolist()]})


def main() -> None:
    """Trains, checks, writes."""
    series = {name: load(name) for name in SOURCES}
    parts = {
        period: {name: windows(one, *bounds) for name, one in series.items()}
        for period, bounds in PERIODS.items()
    }
    batches = {period: Batch.of(list(part.values())) for period, part in parts.items()}
    network, fit = train(batches["train"], batches["validation"], SEED)

    seen = np.concatenate([one.ticks for period in ("train", "validation") for one in parts[period].values()])
    stress = calibration.samples(network, seen, REAL_SAMPLES)
    model = onnx_model(network).SerializeToString(deterministic=True)
    held_out = np.concatenate([one.ticks for one in parts["test"].values()])
    check_export(model, network, np.concatenate([stress, held_out]))

    (FOLDER / "model.onnx").write_bytes(model)
    write("calibration.json", {"ticks": [[window.tolist()] for window in stress]})
    market_files(series)

    files = sorted(p for p in FOLDER.iterdir() if p.suffix in (".onnx", ".py", ".txt", ".json", ".md"))
    moves = np.concatenate([np.abs(np.diff(one.ticks)) for one in series.values()])
    manifest = {
        "format": "vouch-model-manifest",
        "version": 1,
        "name": "rebalancer",
        "input": {
            "name": "ticks",
            "shape": [1, WINDOW],
            "type": "int32",
            "bits": 24,
            "meaning": "daily ticks, oldest first: round(log_1.0001(price of the risk asset in the base asset)); "
            "any constant may be added to all of them, the sign may not be turned",
        },
        "output": {
            "name": "weight",
            "shape": [1, 1],
            "type": "float32",
            "bounds": [0, 1],
            "meaning": "share of the portfolio that the risk asset should have",
        },
        "parameters": sum(p.size for p in network.parameters()),
        "ticks_per_unit": TICKS_PER_UNIT,
        "source": sources(),
        "training": {
            "seed": SEED,
            "periods": {name: list(bounds) for name, bounds in PERIODS.items()},
            "windows": {name: len(batch.variance) for name, batch in batches.items()},
            "assumed_annual_premium": PREMIUM,
            "risk_aversion": RISK_AVERSION,
            "horizon_days": HORIZON,
            "cost_of_turnover": COST,
            **fit,
        },
        "calibration": {
            "samples": len(stress),
            "largest_move_in_data_ticks": int(moves.max()),
            "largest_move_covered_ticks": calibration.JUMP,
            "moves_clipped_at_ticks": calibration.EDGE,
            "random_edge_windows_tried": ESCAPE_TRIALS,
            "largest_neuron_as_share_of_range": calibration.escapes(network, stress, SEED, ESCAPE_TRIALS),
            "meaning": "real windows of the train and validation years, moved to other price levels and turned "
            "upside down; single jumps; windows that drive each neuron to the edge of what clipped moves allow "
            "(proven for the first layer, searched for in the later ones)",
        },
        "objective": {period: objective(network, batch) for period, batch in batches.items()},
        "figures": {
            period: {
                name: strategies(network.weight(features(one.ticks)), one.returns) for name, one in part.items()
            }
            for period, part in parts.items()
        },
        "environment": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("numpy", "onnx", "onnxruntime", "protobuf")},
        },
        "sha256": {p.name: digest(p.read_bytes()) for p in files if p.name != "manifest.json"},
    }
    write("manifest.json", manifest)


if __name__ == "__main__":
    main()
