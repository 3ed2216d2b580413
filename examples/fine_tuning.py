"""Fine-tuning: a network that knows the digits 0 to 4 learns 5 to 9, at first with only its last layer.

Colour by "parameters · trainable" to see what is frozen when, and by "parameters · distance" to see which layers the
fine-tuning really changed.
"""

import torch
from sklearn.datasets import load_digits
from torch.utils.tensorboard import SummaryWriter

import layerscope

images, labels = (torch.from_numpy(array) for array in load_digits(return_X_y=True))
images = images.float().reshape(-1, 1, 8, 8) / 16
torch.manual_seed(0)
model = torch.nn.Sequential(
    torch.nn.Conv2d(1, 8, 3, padding=1),
    torch.nn.ReLU(),
    torch.nn.Conv2d(8, 16, 3, padding=1),
    torch.nn.ReLU(),
    torch.nn.Flatten(),
    torch.nn.Linear(1024, 5),
)


def batches(digits: range, steps: int):
    known = [i for i, label in enumerate(labels.tolist()) if label in digits]
    for step in range(steps):
        batch = torch.tensor(known)[torch.randint(len(known), (32,))]
        yield step, images[batch], labels[batch] - digits.start


optimizer = torch.optim.Adam(model.parameters())
for _, x, y in batches(range(5), 100):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()

model.requires_grad_(False)
model[5].requires_grad_(True)
optimizer = torch.optim.Adam(model[5].parameters())
with SummaryWriter("runs/fine_tuning") as writer, layerscope.Scope(model, writer) as scope:
    scope.graph(images[:1])
    scope.reference()  # distance and cosine are measured from the weights as they are now
    scope.watch(optimizer, every={"parameters": 5, "updates": 5})
    for step, x, y in batches(range(5, 10), 200):
        if step == 100:
            model[2].requires_grad_(True)
            optimizer.add_param_group({"params": model[2].parameters(), "lr": 3e-4})
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        writer.add_scalar("loss", loss, step)
