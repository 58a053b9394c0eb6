"""Training steps of a timm network, one for each line that comes in.

python benchmarks/_timm_step.py NETWORK BATCH SIDE CLASSES
"""

import os
import sys

import numpy as np
import timm
import torch
from torch import nn, optim


def main():
    name, batch, side, classes = sys.argv[1], *map(int, sys.argv[2:5])
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = timm.create_model(name, num_classes=classes).to(memory_format=torch.channels_last)
    model.train()
    optimizer = optim.SGD(model.parameters(), 0.01, momentum=0.9)
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.standard_normal((batch, 3, side, side)), dtype=torch.float32)
    x = x.to(memory_format=torch.channels_last)
    y = torch.tensor(rng.integers(0, classes, batch))
    for _ in sys.stdin:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        print(loss.item(), flush=True)


if __name__ == "__main__":
    main()
