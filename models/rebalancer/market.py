"""Market data: the price series, their ticks, and what a sequence of weights would have earned."""

import csv
import gzip
from dataclasses import dataclass
from datetime import datetime
from importlib import resources

import numpy as np

from network import WINDOW

TRADING_DAYS = 252
"""Observations in a year."""

COST = 0.001
"""Cost of turning over the whole portfolio once: a pool's fee and slippage."""

SOURCES = {
    "sp500": ("arch.data.sp500", "sp500.csv.gz", "Close", "S&P 500 index"),
    "nasdaq": ("arch.data.nasdaq", "nasdaq.csv.gz", "Close", "NASDAQ Composite index"),
    "wti": ("arch.data.wti", "wti.csv.gz", "DCOILWTICO", "WTI crude oil, Cushing, spot (FRED DCOILWTICO)"),
}
"""Package, file, column and title of each daily series."""


@dataclass
class Series:
    """One daily series, without the days on which no price was published."""

    name: str
    dates: np.ndarray
    """ISO dates, as text: they order as dates do."""
    prices: np.ndarray
    ticks: np.ndarray
    """`round(log_1.0001(price))`: what a Uniswap v3 pool calls a tick."""


@dataclass
class Windows:
    """Windows of one series whose decision is made, and paid for the next day, inside one period."""

    ticks: np.ndarray
    """`[n, WINDOW]`, in order of time, one day apart."""
    dates: np.ndarray
    """`[n]`: the day of each window's last observation, at whose close the weight is set."""
    returns: np.ndarray
    """`[n]`: simple return from that close to the next."""


def package_bytes(name: str) -> bytes:
    """The series' compressed file, as the package ships it."""
    package, file, _, _ = SOURCES[name]
    return resources.files(package).joinpath(file).read_bytes()


def load(name: str) -> Series:
    """Reads a series from the installed package."""
    column = SOURCES[name][2]
    rows = csv.DictReader(gzip.decompress(package_bytes(name)).decode().splitlines())
    priced = [
        (datetime.strptime(row["Date"], "%m/%d/%Y").date().isoformat(), float(row[column]))
        for row in rows
        if row[column] not in ("", ".")
    ]
    prices = np.array([price for _, price in priced])
    ticks = np.rint(np.log(prices) / np.log(1.0001)).astype(np.int64)
    return Series(name, np.array([date for date, _ in priced]), prices, ticks)


def windows(series: Series, first: str, last: str) -> Windows:
    """Windows that are decided on or after `first` and whose next close is on or before `last`."""
    decided = [
        day
        for day in range(WINDOW - 1, len(series.dates) - 1)
        if first <= series.dates[day] and series.dates[day + 1] <= last
    ]
    return Windows(
        np.stack([series.ticks[day - WINDOW + 1 : day + 1] for day in decided]),
        series.dates[decided],
        np.array([series.prices[day + 1] / series.prices[day] - 1.0 for day in decided]),
    )


def figures(weights: np.ndarray, returns: np.ndarray) -> dict[str, float]:
    """Yearly figures of a portfolio that sets `weights[t]` at a close and earns `returns[t]`.

    Cash earns nothing. Every trade pays `COST`, also the first and those that only undo the drift of
    the weight since the day before.
    """
    wealth, held, turnover = 1.0, 0.0, 0.0
    earned, path = [], [1.0]
    for target, change in zip(weights, returns, strict=True):
        traded = abs(target - held)
        net = (1.0 - COST * traded) * (1.0 + target * change) - 1.0
        held = target * (1.0 + change) / (1.0 + target * change)
        turnover += traded
        wealth *= 1.0 + net
        earned.append(net)
        path.append(wealth)
    years = len(returns) / TRADING_DAYS
    volatility = float(np.std(earned) * np.sqrt(TRADING_DAYS))
    values = {
        "annual_return": wealth ** (1.0 / years) - 1.0,
        "annual_volatility": volatility,
        "sharpe": float(np.mean(earned)) * TRADING_DAYS / volatility,
        "max_drawdown": float(np.max(1.0 - np.array(path) / np.maximum.accumulate(path))),
        "annual_turnover": turnover / years,
        "mean_weight": float(np.mean(weights)),
    }
    return {key: round(value, 4) for key, value in values.items()}
