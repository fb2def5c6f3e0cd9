"""Training and exporting a recurrent network that forecasts one number from a window of a series."""

from common import SEED, export, np, run, torch_ready

torch = torch_ready()


def windows(features, target, length):
    """Every window of `length` rows and what follows it: [n, 1, length, features] and [n]."""
    starts = range(len(features) - length + 1)
    ends = [s + length - 1 for s in starts]
    keep = [(s, e) for s, e in zip(starts, ends) if np.isfinite(target[e])]
    x = np.stack([features[s : e + 1] for s, e in keep])[:, None].astype(np.float32)
    return x, np.array([target[e] for _, e in keep], np.float32), [e for _, e in keep]


def fit(model, x, y, epochs, batch=64, rate=3e-3, decay=1e-3):
    x, y = torch.from_numpy(x[:, 0]), torch.from_numpy(y)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    order = torch.Generator().manual_seed(SEED)
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=order).split(batch):
            optimiser.zero_grad()
            torch.nn.functional.mse_loss(model(x[rows])[:, 0], y[rows]).backward()
            optimiser.step()
        schedule.step()
    return model.eval()


def export_both(folder, model, name, test, figures):
    """The old exporter's ONNX file, and the new one's. `figures` judges forecasts of the test samples."""
    x, models = test[name], {}
    with torch.no_grad():
        own = np.concatenate([model(torch.from_numpy(sample)).numpy() for sample in x])[:, 0]
    for file, dynamo in (("model.onnx", False), ("model_dynamo.onnx", True)):
        export(model, (torch.from_numpy(x[0]),), folder / file, dynamo, [name], ["forecast"])
        out = run(folder / file, test)["forecast"].reshape(len(x))
        models[file] = {
            "made_by": f"torch.onnx.export(dynamo={dynamo})",
            "test": {**figures(out), "largest_error_to_pytorch": float(f"{np.abs(out - own).max():.2g}")},
        }
    return models
