"""The PyTorch side of input.py, in a process of its own; draws when it reads a number of images."""

import os
import sys
import time


def dataset(folder, kind, size):
    """An ImageFolder with the transforms of a kind; images end as float tensors, 0..1."""
    from torchvision import datasets
    from torchvision.transforms import v2

    if kind == "albumentations":
        import albumentations as a
        import cv2
        import numpy as np
        import torch

        cv2.setNumThreads(0)
        chain = a.Compose(
            [
                a.HorizontalFlip(p=0.5),
                a.RandomResizedCrop((size, size), scale=(0.3, 1.0), ratio=(3 / 4, 4 / 3), p=1.0),
                a.ColorJitter((0.7, 1.3), (0.7, 1.3), (0.7, 1.3), (-0.05, 0.05), p=1.0),
            ]
        )

        def transform(image):
            pixels = chain(image=np.asarray(image))["image"]
            return torch.from_numpy(pixels).permute(2, 0, 1).float()

        return datasets.ImageFolder(folder, transform)
    import torch

    steps = [v2.Resize((size, size))]
    if kind == "torchvision":
        steps = [
            v2.RandomHorizontalFlip(),
            v2.RandomResizedCrop(size, scale=(0.3, 1.0)),
            v2.ColorJitter(0.3, 0.3, 0.3, 0.05),
        ]
    # On Pillow's images, which is faster than on tensors.
    steps = [*steps, v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)]
    return datasets.ImageFolder(folder, v2.Compose(steps))


def used():
    """Processor seconds of this process and its workers so far."""
    ticks = 0
    for name in [str(os.getpid()), *children(os.getpid())]:
        with open(f"/proc/{name}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()


def endless(loader):
    while True:
        yield from loader


def main(folder, kind, workers, size, batch, ahead):
    try:
        import torch

        torch.set_num_threads(1)
        data = dataset(folder, kind, size)
    except ImportError:
        return
    loader = torch.utils.data.DataLoader(
        data, batch, shuffle=True, num_workers=workers, persistent_workers=True, drop_last=True
    )
    batches = endless(loader)
    next(batches)
    print("ready", flush=True)
    for line in sys.stdin:
        images = int(line)
        for _ in range(ahead):
            next(batches)
        start, before, done = time.perf_counter(), used(), 0
        while done < images:
            done += len(next(batches)[0])
        print(done / (time.perf_counter() - start), (used() - before) / done * 1e3, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:3], *(int(text) for text in sys.argv[3:]))
