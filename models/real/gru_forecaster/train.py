"""A GRU that forecasts how much the S&P 500 will swing in the next five days from its last 20 days."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from common import np, weights, write
from series import export_both, fit, torch, windows

import arch.data.sp500
from torch import nn

HERE = Path(__file__).resolve().parent
LENGTH, AHEAD = 20, 5


class Forecaster(nn.Module):
    """Forecasts the difference to the mean swing of the window, so that no level has to be learned."""

    def __init__(self, features, width=16):
        super().__init__()
        self.gru = nn.GRU(features, width, batch_first=True)
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        _, last = self.gru(x)
        return x[:, :, 1].mean(1, keepdim=True) + self.head(last[0])


prices = arch.data.sp500.load()
close, high, low = (prices[c].to_numpy() for c in ("Close", "High", "Low"))
returns = np.diff(np.log(close), prepend=np.log(close[0])) * 100
# A few early days have the same high and low to the cent; the floor keeps their logarithm finite.
swing = np.log(np.maximum(np.log(high / low) * 100, 0.05))
features = np.stack([returns, swing], axis=1)[1:]
swing = swing[1:]
days = prices.index[1:]
target = np.full(len(swing), np.nan)
for i in range(len(swing) - AHEAD):
    target[i] = swing[i + 1 : i + 1 + AHEAD].mean()
x, y, ends = windows(features, target, LENGTH)
ends = np.array(ends)
# No day is in both: a training forecast ends before 2012, a test window starts in 2012.
train = np.array([days[e + AHEAD].year < 2012 for e in ends])
held_back = np.array([days[e - LENGTH + 1].year >= 2012 for e in ends])
x_train, y_train, x_test, y_test = x[train], y[train], x[held_back][::2], y[held_back][::2]
torch.manual_seed(1)
model = fit(Forecaster(2), x_train, y_train, epochs=20, rate=2e-3, decay=1e-2)


def figures(out):
    r2 = lambda forecast: round(float(1 - ((forecast - y_test) ** 2).mean() / y_test.var()), 4)
    return {"r2": r2(out), "r2_of_mean_of_5_days": r2(x_test[:, 0, -5:, 1].mean(1)), "r2_of_mean_of_20_days": r2(x_test[:, 0, :, 1].mean(1))}


test = {"days": x_test}
write(
    HERE, export_both(HERE, model, "days", test, figures), {"days": x_train[::8]}, test, y_test,
    {
        "about": "GRU, 20 days of return (%) and log of the day's range (%) to the mean log range of the next five days",
        "parameters": weights(model),
        "source": "S&P 500 daily prices 1999 to 2018 as the package arch ships them (NCSA licence)",
        "split": "forecasts that end before 2012 train (every eighth calibrates); windows that start in 2012 or later are held back (every second is kept)",
    },
    ["torch", "onnxscript", "arch"],
)
