import torch
from sklearn.datasets import load_digits
from torch.utils.tensorboard import SummaryWriter

import layerscope

images, labels = (torch.from_numpy(array) for array in load_digits(return_X_y=True))
images = images.float().reshape(-1, 1, 8, 8) / 16
model = torch.nn.Sequential(
    torch.nn.Conv2d(1, 16, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(1024, 10)
)
optimizer = torch.optim.Adam(model.parameters())

with SummaryWriter("runs/first_steps") as writer, layerscope.Scope(model, writer) as scope:
    scope.graph(images[:1])  # called exactly as the model is
    for step in range(201):
        batch = torch.randint(len(images), (64,))
        loss = torch.nn.functional.cross_entropy(model(images[batch]), labels[batch])
        loss.backward()
        writer.add_scalar("loss", loss, step)
        if step % 20 == 0:
            scope.gradients(step)  # after backward, before zero_grad
            scope.activations(images[:8], step=step)
            scope.attributions(images[:8], labels[:8], step=step)
        if step % 100 == 0:
            scope.maximize(step=step)
        optimizer.step()
        optimizer.zero_grad()
