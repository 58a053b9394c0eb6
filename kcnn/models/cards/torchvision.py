"""ResNet, ResNeXt, VGG and AlexNet on ImageNet, as torchvision publishes them."""

from kcnn.models._card import Download, WeightsCard
from kcnn.models.cards._keras import torch

__all__ = ["CARDS"]


def _card(network: str, file: str, top_1: float) -> WeightsCard:
    return WeightsCard(
        network,
        "imagenet",
        # The name ends in the first digits of the hash; the rest is not published.
        Download(f"https://download.pytorch.org/models/{file}.pth", file.rpartition("-")[2]),
        torch(224),
        licence="BSD-3-Clause",
        source="PyTorch, github.com/pytorch/vision, IMAGENET1K_V1",
        top_1=top_1,
    )


CARDS = (
    _card("resnet18", "resnet18-f37072fd", 0.69758),
    _card("resnet34", "resnet34-b627a593", 0.73314),
    _card("resnext50_32x4d", "resnext50_32x4d-7cdf4587", 0.77618),
    _card("resnext101_32x8d", "resnext101_32x8d-8ba56ff5", 0.79312),
    _card("vgg11", "vgg11-8a719046", 0.6902),
    _card("vgg13", "vgg13-19584684", 0.69928),
    _card("alexnet", "alexnet-owt-7be5be79", 0.56522),
)
