"""A two-layer LSTM that forecasts tomorrow's highest temperature in Seattle from the last two weeks of weather."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from common import np, weights, write
from series import export_both, fit, torch, windows

import vega_datasets
from torch import nn

HERE = Path(__file__).resolve().parent
LENGTH = 14


class Forecaster(nn.Module):
    """Forecasts the change to the last day, in units of ten degrees."""

    def __init__(self, features, width=16):
        super().__init__()
        self.lstm = nn.LSTM(features, width, num_layers=2, batch_first=True)
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        out, _ = self.lstm(x)
        return x[:, -1, :1] + self.head(out[:, -1])


raw = vega_datasets.data.seattle_weather()
year_angle = 2 * np.pi * raw.date.dt.day_of_year.to_numpy() / 365.25
features = np.stack(
    [raw.temp_max / 10 - 1.5, raw.temp_min / 10 - 0.8, np.log1p(raw.precipitation) - 0.5, raw.wind / 5 - 0.6,
     np.sin(year_angle), np.cos(year_angle)], axis=1,
)
target = np.append(features[1:, 0], np.nan)  # what the next day brings
x, y, ends = windows(features, target, LENGTH)
# No day is in both: a training forecast is of 2014 or before, a test window starts in 2015.
train = np.array([raw.date[e + 1].year < 2015 for e in ends])
held_back = np.array([raw.date[e - LENGTH + 1].year >= 2015 for e in ends])
x_train, y_train, x_test, y_test = x[train], y[train], x[held_back], y[held_back]
torch.manual_seed(1)
model = fit(Forecaster(features.shape[1]), x_train, y_train, epochs=40, rate=3e-3, decay=3e-2)


def figures(out):
    degrees = lambda forecast: round(float(np.abs(forecast - y_test).mean() * 10), 3)
    return {"mean_absolute_error_degrees": degrees(out), "same_of_no_change": degrees(x_test[:, 0, -1, 0])}


test = {"weather": x_test}
write(
    HERE, export_both(HERE, model, "weather", test, figures), {"weather": x_train[::5]}, test, y_test,
    {
        "about": "two-layer LSTM, 14 days of six features to tomorrow's highest temperature; (degrees Celsius - 15) / 10",
        "parameters": weights(model),
        "source": "vega_datasets seattle-weather.csv: NOAA daily observations, Seattle, 2012 to 2015 (public domain)",
        "split": "forecasts of 2012 to 2014 train (every fifth calibrates), windows that start in 2015 are held back",
    },
    ["torch", "onnxscript", "vega_datasets"],
)
