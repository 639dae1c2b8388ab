"""bntrain's networks as torch.nn.Sequential, and what PyTorch computes with them."""
import re

import numpy as np
import torch
from torch import nn

BATCH = 1000


def make(text, channels, height, width, eps):
    """The network of bntrain's text on images of that shape; weights as PyTorch initialises them."""
    layers, flat = [], False
    x = torch.zeros(1, channels, height, width)

    def add(layer):
        nonlocal x
        layers.append(layer.eval())
        with torch.no_grad():
            x = layer(x)

    for item in text.split(","):
        if conv := re.fullmatch(r"conv(\d+)x(\d+)(?:s(\d+))?(?:p(\d+))?(nobias)?", item):
            outputs, kernel, stride, padding = (int(number or default)
                                                for number, default in zip(conv.groups()[:4], (0, 0, 1, 0)))
            add(nn.Conv2d(x.shape[1], outputs, kernel, stride, padding, bias=not conv[5]))
        elif linear := re.fullmatch(r"fc(\d+)(nobias)?", item):
            if not flat:
                add(nn.Flatten())
                flat = True
            add(nn.Linear(x.shape[1], int(linear[1]), bias=not linear[2]))
        elif pool := re.fullmatch(r"maxpool(\d+)", item):
            add(nn.MaxPool2d(int(pool[1])))
        elif item == "bn":
            add((nn.BatchNorm1d if flat else nn.BatchNorm2d)(x.shape[1], eps=eps))
        elif pool := re.fullmatch(r"avgpool(\d+)", item):
            add(nn.AvgPool2d(int(pool[1])))
        elif item == "relu":
            add(nn.ReLU())
        elif item == "sigmoid":
            add(nn.Sigmoid())
        else:
            raise SystemExit(f"no layer of PyTorch for '{item}'")
    return nn.Sequential(*layers)


def train(network, images, labels, steps, lr):
    """A few steps of plain SGD from the network's present weights."""
    optimizer = torch.optim.SGD(network.parameters(), lr)
    network.train()
    for step in range(steps):
        rows = slice(256 * step, 256 * (step + 1))
        loss = nn.functional.cross_entropy(network(torch.from_numpy(images[rows])), torch.from_numpy(labels[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()


def logits(network, images):
    network.eval()
    with torch.inference_mode():
        return np.concatenate([network(torch.from_numpy(images[first:first + BATCH])).numpy()
                               for first in range(0, len(images), BATCH)])
