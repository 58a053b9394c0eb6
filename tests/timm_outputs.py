"""A timm network's random weights, an input and its output, as an .npz: a peer to compare with.

python timm_outputs.py NAME FILE
"""

import sys

import numpy as np
import timm
import torch


def main(name, file, classes=7, side=96):
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=classes).eval()
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if value.ndim != 1:
                continue
            if "running_var" in key or "gamma" in key or key.endswith("weight"):
                draw = rng.uniform(0.5, 1.5, value.shape)
            else:
                draw = rng.normal(0, 0.1, value.shape)
            value.copy_(torch.tensor(draw))
        x = rng.normal(size=(2, side, side, 3)).astype("float32")
        y = model(torch.tensor(x.transpose(0, 3, 1, 2)))
    tensors = {key: value.numpy() for key, value in model.state_dict().items()}
    np.savez(file, x=x, y=y.numpy(), **tensors)


if __name__ == "__main__":
    main(*sys.argv[1:])
