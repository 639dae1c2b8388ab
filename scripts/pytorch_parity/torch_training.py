"""Trains the reference network in PyTorch as fast as stock PyTorch can; one JSON object per epoch on stdout.

A program of its own, so that the environment it is started with reaches OpenMP, BLAS and malloc."""
import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from pytorch_parity.files import read_dataset  # noqa: E402
from pytorch_parity.network import BATCH_SIZE, EPS, MOMENTUM  # noqa: E402
from torch_network import build  # noqa: E402


def make_network(pool_first):
    """`pool_first` swaps ReLU and pooling: the same values from a quarter of the comparisons."""
    tail = "maxpool2,relu" if pool_first else "relu,maxpool2"
    network = build(f"conv20x5,bn,{tail},conv50x3,bn,{tail},fc128,relu,fc10", bn_eps=EPS, bn_momentum=MOMENTUM)
    with torch.no_grad():  # init `tutorial`
        for module in network:
            if hasattr(module, "weight"):
                module.weight.normal_(0, 0.01)
                module.bias.zero_()
            if isinstance(module, nn.BatchNorm2d):
                module.bias.normal_(0, 0.01)
                module.running_var.zero_()
            if isinstance(module, nn.ReLU):
                module.inplace = True
    return network


def train_epoch(network, optimizer, images, labels, steps):
    """(mean loss, accuracy, images, seconds); the measures stay tensors until the end."""
    start = time.perf_counter()
    order = torch.randperm(len(images))
    loss_sum, correct, count = torch.zeros(()), torch.zeros((), dtype=torch.int64), 0
    for first in range(0, len(order), BATCH_SIZE)[:steps]:
        batch = order[first:first + BATCH_SIZE]
        x, y = images.index_select(0, batch), labels.index_select(0, batch)
        optimizer.zero_grad(set_to_none=True)
        logits = network(x)
        loss = nn.functional.cross_entropy(logits, y, reduction="sum")
        (loss / BATCH_SIZE).backward()
        optimizer.step()
        loss_sum += loss.detach()
        correct += (logits.detach().argmax(1) == y).sum()
        count += len(batch)
    return loss_sum.item() / count, correct.item() / count, count, time.perf_counter() - start


def accuracy(network, images, labels):
    network.eval()
    with torch.inference_mode():
        correct = sum((network(x).argmax(1) == y).sum().item()
                      for x, y in zip(images.split(1000), labels.split(1000)))
    network.train()
    return correct / len(labels)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--steps", type=int, help="of each epoch; all when left out")
    parser.add_argument("--lr", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--pool-first", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    if not any("openblas" in line for line in open("/proc/self/maps")):
        raise SystemExit("PyTorch runs on the slow reference BLAS here, a comparison would be unfair: "
                         "install libopenblas0-pthread")

    layout = torch.channels_last if arguments.channels_last else torch.contiguous_format
    raw = read_dataset(arguments.data)
    train, test = ((torch.from_numpy(images.astype(np.float32) / 255).unsqueeze(1),
                    torch.from_numpy(labels.astype(np.int64))) for images, labels in (raw[:2], raw[2:]))
    network = make_network(arguments.pool_first).to(memory_format=layout)
    optimizer = torch.optim.SGD(network.parameters(), arguments.lr)
    for epoch in range(arguments.epochs):
        loss, train_accuracy, images, seconds = train_epoch(network, optimizer, *train, arguments.steps)
        print(json.dumps({"event": "epoch", "epoch": epoch, "train_loss": loss, "train_accuracy": train_accuracy,
                          "test_accuracy": accuracy(network, *test), "seconds": seconds,
                          "images_per_second": images / seconds}), flush=True)


if __name__ == "__main__":
    main()
