"""Exports cnn.onnx: a small convolutional classifier of 28x28 grey images, 10 classes, 39,418 parameters.

    python examples/mnist/export.py        # needs torch and onnxscript

The weights are PyTorch's own initial values under a fixed seed. The batch axis stays dynamic: Starling fixes it at import.
"""

from pathlib import Path

import torch
from torch import nn

SEED = 1


class Cnn(nn.Module):
    """Two convolutions, each halved by pooling, and two linear layers: [batch, 1, 28, 28] in [0, 1] -> [batch, 10] logits."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.fc1 = nn.Linear(16 * 7 * 7, 48)
        self.fc2 = nn.Linear(48, 10)

    def forward(self, image):
        hidden = nn.functional.max_pool2d(nn.functional.relu(self.conv1(image)), 2)
        hidden = nn.functional.max_pool2d(nn.functional.relu(self.conv2(hidden)), 2)
        hidden = nn.functional.relu(self.fc1(hidden.flatten(1)))
        return self.fc2(hidden)


if __name__ == "__main__":
    torch.manual_seed(SEED)
    program = torch.onnx.export(
        Cnn().eval(),
        (torch.zeros(2, 1, 28, 28),),
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        optimize=False,  # the optimizer merges equal tensors and transposes weights: names and ties would be lost
        verbose=False,
    )
    for node in program.model.graph:
        node.metadata_props.clear()  # PyTorch's stack traces name the folders of whoever exported
    program.save(Path(__file__).with_name("cnn.onnx"), external_data=False)
