"""What PyTorch computes with a network."""
import numpy as np
import torch
from torch import nn

BATCH = 1000


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
