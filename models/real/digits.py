"""The handwritten digits as images or rows, split once and the same for every network that reads them."""

from common import SEED, np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SOURCE = "sklearn.datasets.load_digits: UCI Optical Recognition of Handwritten Digits, CC BY 4.0; pixels divided by 16"
SPLIT = "70 % training (200 of it calibrate), 30 % held back, stratified"


def digits(shape):
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32).reshape(-1, 1, *shape)  # the second axis is the batch of one
    return train_test_split(x, y, test_size=0.3, random_state=SEED, stratify=y)


def fit(torch, model, x, y, epochs, batch=64, rate=3e-3):
    """Adam with a cosine schedule; cross-entropy."""
    x, y = torch.from_numpy(x[:, 0]), torch.from_numpy(y)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    order = torch.Generator().manual_seed(SEED)
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=order).split(batch):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimiser.step()
        schedule.step()
    return model.eval()


def figures(out, y, model, x, torch):
    """Accuracy of what onnxruntime computed, and how far it is from PyTorch."""
    logits = next(iter(out.values()))[:, 0]
    with torch.no_grad():
        own = np.concatenate([model(torch.from_numpy(sample)).numpy() for sample in x])
    return {
        "accuracy": round(float((logits.argmax(1) == y).mean()), 4),
        "largest_error_to_pytorch": float(f"{np.abs(logits - own).max():.2g}"),
    }
