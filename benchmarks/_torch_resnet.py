"""resnet20 and resnet18 in PyTorch, as `kcnn.create_model` builds them."""

from torch import nn


class _IdentityPad(nn.Module):
    """Every other pixel, and zero channels appended: the shortcut of CIFAR ResNets."""

    def __init__(self, missing, stride):
        super().__init__()
        self.missing, self.stride = missing, stride

    def forward(self, x):
        x = x[:, :, :: self.stride, :: self.stride]
        return nn.functional.pad(x, (0, 0, 0, 0, 0, self.missing))


class _Block(nn.Module):
    def __init__(self, before, after, stride, norm, project):
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            norm(after),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
            norm(after),
        )
        self.side = nn.Identity()
        if stride > 1 or before != after:
            convolution = nn.Conv2d(before, after, 1, stride, bias=False)
            padding = _IdentityPad(after - before, stride)
            self.side = nn.Sequential(convolution, norm(after)) if project else padding

    def forward(self, x):
        return nn.functional.relu(self.branch(x) + self.side(x), inplace=True)


def resnet(name, norm, classes=10):
    """The network; `norm` maps a number of channels to a module.

    resnet20 has a 3x3 stem and shortcuts without weights, resnet18 a 7x7 stem, max pooling
    and 1x1 convolutions.
    """
    widths, depth = {"resnet20": ((16, 32, 64), 3), "resnet18": ((64, 128, 256, 512), 2)}[name]
    large = name == "resnet18"
    kernel, stride = (7, 2) if large else (3, 1)
    before = widths[0]
    layers = [
        nn.Conv2d(3, before, kernel, stride, kernel // 2, bias=False),
        norm(before),
        nn.ReLU(inplace=True),
    ]
    if large:
        layers.append(nn.MaxPool2d(3, 2, 1))
    for stage, width in enumerate(widths):
        for block in range(depth):
            stride = 2 if stage and not block else 1
            layers.append(_Block(before, width, stride, norm, project=large))
            before = width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes)]
    return nn.Sequential(*layers)
