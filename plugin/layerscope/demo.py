"""``layerscope demo``: trains a small residual CNN on real handwritten digits, with everything recorded.

The data are scikit-learn's digits: 1,797 scans of handwritten digits, 8 x 8 pixels (Alpaydin & Kaynak, 1998, UCI).
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from layerscope.errors import MissingExtraError
from layerscope.scope import Scope

STEPS = 300
BATCH = 64
RECORD_EVERY = {"parameters": 10, "updates": 10, "training_activations": 25, "activation_gradients": 25}
RECORD_PROBES_EVERY = 25
METHODS = ("grad_cam", "gradient_x_activation", "integrated_gradients", "deep_lift", "guided_backprop")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class Residual(nn.Module):
    """Two convolutions beside a shortcut (He et al. 2016, "Deep Residual Learning for Image Recognition", fig. 2)."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)  # called twice: its calls are the layers "relu" and "relu#1"
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut: nn.Module | None = None
        if stride != 1 or in_channels != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """[batch, in_channels, height, width] -> [batch, channels, height / stride, width / stride]."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out = out + (x if self.shortcut is None else self.shortcut(x))
        return self.relu(out)


class DigitsNet(nn.Module):
    """A residual CNN for 8 x 8 digits with 42,938 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True))
        self.stage1 = nn.Sequential(Residual(16, 16), Residual(16, 16))
        self.stage2 = nn.Sequential(Residual(16, 32, stride=2), Residual(32, 32))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, 1, 8, 8] in -1 to 1 -> logits [batch, 10]."""
        x = self.stage2(self.stage1(self.stem(x)))
        return self.fc(self.pool(x).flatten(1))


def load_digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return images [n, 1, 8, 8] in -1 to 1 and labels [n] for training (1,437) and for testing (360).

    Raises:
        MissingExtraError: scikit-learn, which carries the data, is not installed.
    """
    try:
        from sklearn import datasets, model_selection
    except ModuleNotFoundError as error:
        raise MissingExtraError("layerscope demo", "demo", "scikit-learn") from error
    images, labels = datasets.load_digits(return_X_y=True)
    split = model_selection.train_test_split(images, labels, test_size=360, random_state=0, stratify=labels)
    train_images, test_images, train_labels, test_labels = (torch.from_numpy(array) for array in split)
    return (*_as_batch(train_images, train_labels), *_as_batch(test_images, test_labels))


def _as_batch(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    return images.float().reshape(-1, 1, 8, 8) / 8 - 1, labels.long()


def train(run: Path, *, steps: int = STEPS, quiet: bool = False) -> float:
    """Train the network, record everything into ``run`` and return the accuracy on the test set, 0 to 1."""
    torch.manual_seed(0)
    train_images, train_labels, test_images, test_labels = load_digits()
    model = DigitsNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=steps + 1)
    criterion = nn.CrossEntropyLoss()
    probe_images, probe_labels = _one_of_each(test_images, test_labels)

    with SummaryWriter(str(run)) as writer, Scope(model, writer) as scope:
        scope.graph(train_images[:BATCH])
        scope.reference()
        scope.watch(optimizer, every=RECORD_EVERY)
        for step in range(steps + 1):
            picked = torch.randint(len(train_images), (BATCH,))
            loss = criterion(model(train_images[picked]), train_labels[picked])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            writer.add_scalar("loss", loss.item(), step)
            if step % RECORD_PROBES_EVERY == 0:
                writer.add_scalar("accuracy/test", _accuracy(model, test_images, test_labels), step)
                scope.attributions(probe_images, probe_labels, step=step, methods=METHODS, class_names=DIGITS)
                scope.activations(probe_images, step=step)
                scope.linear_probes(test_images, test_labels, step=step)
                scope.surrogates(test_images, step=step, of="pool", surrogates=("decision_tree",), output_names=DIGITS)
                scope.embeddings(test_images, test_labels, step=step, samples="test", class_names=DIGITS)
                scope.maximize(step=step, inputs=test_images, samples="test")
                scope.weights(step=step)
            if not quiet:
                _show_progress(step, steps, loss.item())
    return _accuracy(model, test_images, test_labels)


def _one_of_each(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    first = [int((labels == digit).nonzero()[0]) for digit in range(10)]
    return images[first], labels[first]


def _accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    model.eval()
    with torch.no_grad():
        predicted = model(images).argmax(1)
    model.train()
    return (predicted == labels).float().mean().item()


def _show_progress(step: int, steps: int, loss: float) -> None:
    end = "\r" if sys.stdout.isatty() and step < steps else "\n"
    if end == "\n" and step % RECORD_PROBES_EVERY:
        return  # no terminal to redraw the line on: one line for each probe
    print(f"step {step:4d}/{steps}   loss {loss:.4f}", end=end, flush=True)
