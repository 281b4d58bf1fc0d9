"""A subject of the step benchmark: the same models in PyTorch on the CPU.

Usage: python3 torch-subject.py MODEL BATCH THREADS STEPS. Takes STEPS steps and says {"memory_mb": largest resident memory}, or
{"absent": reason}; then for each {"repeats_max", "ms"} on a line of stdin the least time of so many steps in {"ms"}.
"""
import json
import sys
import time

try:
    import torch
    from torch import nn
except ImportError:
    print(json.dumps({"absent": "python3 has no torch"}), flush=True)
    sys.exit()


def mlp():
    layers = [nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10)]
    return nn.Sequential(*layers), torch.rand(BATCH, 784), (BATCH,), 10


def cnn():
    layers = [nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU()]
    layers += [nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64 * 7 * 7, 10)]
    return nn.Sequential(*layers), torch.rand(BATCH, 1, 28, 28), (BATCH,), 10


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.joint, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        batch, context, width = x.shape
        parts = self.joint(self.before(x)).split(width, 2)
        q, k, v = (p.view(batch, context, self.heads, -1).transpose(1, 2) for p in parts)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(x.shape))
        return x + self.narrow(nn.functional.gelu(self.wide(self.between(x))))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.places = nn.Embedding(256, 128), nn.Parameter(torch.randn(128, 128) * 0.02)
        self.blocks, self.last = nn.Sequential(*(Block(128, 4) for _ in range(4))), nn.LayerNorm(128)

    def forward(self, ids):
        return self.last(self.blocks(self.table(ids) + self.places)) @ self.table.weight.T


def gpt():
    return Gpt(), torch.randint(256, (BATCH, 128)), (BATCH, 128), 256


class Residual(nn.Module):
    def __init__(self, fro, to, stride):
        super().__init__()
        conv = lambda a, b, k, s: [nn.Conv2d(a, b, k, s, k // 2, bias=False), nn.BatchNorm2d(b)]
        self.inner = nn.Sequential(*conv(fro, to, 3, stride), nn.ReLU(), *conv(to, to, 3, 1))
        self.shortcut = nn.Identity() if fro == to else nn.Sequential(*conv(fro, to, 1, stride))

    def forward(self, x):
        return torch.relu(self.inner(x) + self.shortcut(x))


def resnet18():
    layers, fro = [nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()], 64
    for stage in range(4):
        to = 64 << stage
        layers += [Residual(fro, to, 1 if stage == 0 else 2), Residual(to, to, 1)]
        fro = to
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)]
    return nn.Sequential(*layers), torch.rand(BATCH, 3, 32, 32), (BATCH,), 10


def memory_mb():
    """Linux starts ru_maxrss with what the parent had when it forked; VmHWM is this program's own."""
    if sys.platform == "linux":
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024
    import resource

    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


NAME, BATCH, THREADS, STEPS = sys.argv[1], *map(int, sys.argv[2:])
torch.set_num_threads(THREADS)
model, x, label_shape, classes = {"mlp": mlp, "cnn": cnn, "gpt": gpt, "resnet18": resnet18}[NAME]()
labels = torch.randint(classes, label_shape)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)


def step():
    optimizer.zero_grad(set_to_none=True)
    loss = nn.functional.cross_entropy(model(x).flatten(0, -2), labels.flatten())
    loss.backward()
    optimizer.step()
    return loss.item()


for _ in range(STEPS):
    step()
print(json.dumps({"memory_mb": memory_mb()}), flush=True)
for line in sys.stdin:
    turn = json.loads(line)
    began, times = time.perf_counter(), []
    while not times or len(times) < turn["repeats_max"] and 1000 * (time.perf_counter() - began) < turn["ms"]:
        started = time.perf_counter()
        step()
        times.append(1000 * (time.perf_counter() - started))
    print(json.dumps({"ms": min(times)}), flush=True)
