"""Exports resnet18.onnx: ResNet-18 for 32x32 colour images (He et al. 2016, with CIFAR's 3x3 stem), 10 classes.

    python examples/cifar/export.py [width]        # needs torch and onnxscript; 10 by default, 64 is the published one

optimize=False keeps the batch norms: the exporter would fold them into the convolutions, and what is gone cannot be trained.
"""

import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

SEED = 1


def conv_bn(cin, cout, kernel, stride=1):
    return nn.Sequential(nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(cout))


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.a, self.b = conv_bn(cin, cout, 3, stride), conv_bn(cout, cout, 3)
        self.skip = conv_bn(cin, cout, 1, stride) if stride != 1 or cin != cout else nn.Identity()

    def forward(self, x):
        return functional.relu(self.b(functional.relu(self.a(x))) + self.skip(x))


class ResNet18(nn.Module):
    """[batch, 3, 32, 32] normalised -> [batch, 10] logits."""

    def __init__(self, width=10):
        super().__init__()
        self.stem = conv_bn(3, width, 3)
        widths = [width, width, 2 * width, 4 * width, 8 * width]
        stages = [
            nn.Sequential(Block(cin, cout, 1 if index == 0 else 2), Block(cout, cout, 1))
            for index, (cin, cout) in enumerate(zip(widths, widths[1:]))
        ]
        self.stages, self.head = nn.Sequential(*stages), nn.Linear(8 * width, 10)

    def forward(self, image):
        x = self.stages(functional.relu(self.stem(image)))
        return self.head(functional.adaptive_avg_pool2d(x, 1).flatten(1))


if __name__ == "__main__":
    torch.manual_seed(SEED)
    model = ResNet18(*map(int, sys.argv[1:])).eval()
    program = torch.onnx.export(
        model,
        (torch.rand(2, 3, 32, 32),),
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        optimize=False,
        verbose=False,
    )
    for node in program.model.graph:
        node.metadata_props.clear()  # PyTorch's stack traces name the folders of whoever exported
    program.save(Path(__file__).with_name("resnet18.onnx"), external_data=False)
