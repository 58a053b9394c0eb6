"""A torch network's random weights, an input and its output, as an .npz: a peer to compare with.

    python benchmarks/_torch_outputs.py LIBRARY NAME FILE [SIDE]

LIBRARY is timm or torchvision. Runs without kcnn, by an interpreter that has the library.
"""

import sys

import numpy as np
import torch

CLASSES = 7


def build(library, name):
    """The network with seven classes and random weights."""
    if library == "timm":
        import timm

        return timm.create_model(name, num_classes=CLASSES)
    import torchvision

    return getattr(torchvision.models, name)(weights=None, num_classes=CLASSES)


def main(library, name, file, side="96"):
    torch.manual_seed(0)
    model = build(library, name).eval()
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if value.ndim != 1:
                continue
            if "running_var" in key:
                draw = rng.uniform(0.5, 1.5, value.shape)
            elif "gamma" in key or key.endswith("weight"):
                draw = rng.uniform(0.1, 0.4, value.shape)  # more blows up rounding in deep ones
            else:
                draw = rng.normal(0, 0.1, value.shape)
            value.copy_(torch.tensor(draw))
        model = model.double()  # of the same float32 numbers
        x = rng.normal(size=(2, int(side), int(side), 3))
        y = model(torch.tensor(x.transpose(0, 3, 1, 2)))
    tensors = {key: value.numpy() for key, value in model.state_dict().items()}
    np.savez(file, x=x, y=y.numpy(), **tensors)


if __name__ == "__main__":
    main(*sys.argv[1:])
