"""Trains the reference network in PyTorch with the data on the device; one JSON object per epoch on stdout.

Modes: `eager`; `compile` and `compile-reduce-overhead`, forward pass and loss by torch.compile; `graph`, the whole step
captured by hand into a CUDA graph for each of the two batch sizes and replayed, batches chosen on the device. What must
be built first (kernels, graphs) is built before the first epoch, on steps that are undone. Seconds are from the first
step of an epoch to the end of its last, by events on a GPU."""
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
from pytorch_parity.network import BATCH_SIZE  # noqa: E402
from pytorch_parity.torch_training import accuracy, make_network  # noqa: E402

MODES = ["eager", "compile", "compile-reduce-overhead", "graph"]
WARM_UP_STEPS = 3  # before a capture, as PyTorch's documentation has it


class Stopwatch:
    """Seconds between start() and stop(), of the device's work and not of its enqueueing."""

    def __init__(self, device):
        self.events = [torch.cuda.Event(enable_timing=True) for _ in range(2)] if device.type == "cuda" else None

    def start(self):
        if self.events:
            self.events[0].record()
        self.begin = time.perf_counter()

    def stop(self):
        if not self.events:
            return time.perf_counter() - self.begin
        self.events[1].record()
        self.events[1].synchronize()
        return self.events[0].elapsed_time(self.events[1]) / 1000


class Training:
    """The network, its optimizer and its data on one device."""

    def __init__(self, device, mode, images, labels, lr, network):
        if mode.startswith("compile") and not hasattr(torch, "compile"):
            raise SystemExit(f"PyTorch {torch.__version__} has no torch.compile")
        if mode == "graph" and device.type != "cuda":
            raise SystemExit(f"CUDA graphs need a GPU, and the device is {device}")
        self.images, self.labels, self.network = images, labels, network
        self.optimizer = torch.optim.SGD(network.parameters(), lr)
        self.loss = self.network_and_loss
        if mode.startswith("compile"):
            options = {"mode": "reduce-overhead"} if mode == "compile-reduce-overhead" else {}
            self.loss = torch.compile(self.network_and_loss, dynamic=False, **options)
        self.order = torch.arange(len(images), device=device)
        self.position = torch.zeros(1, dtype=torch.int64, device=device)
        self.loss_sum = torch.zeros((), device=device)
        self.correct = torch.zeros((), dtype=torch.int64, device=device)
        self.stopwatch = Stopwatch(device)
        self.replays = {}
        self.build(mode)

    def network_and_loss(self, x, y):
        logits = self.network(x)
        return nn.functional.cross_entropy(logits, y, reduction="sum"), logits

    def step(self, batch):
        x, y = self.images.index_select(0, batch), self.labels.index_select(0, batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss, logits = self.loss(x, y)
        (loss / BATCH_SIZE).backward()
        self.optimizer.step()
        self.loss_sum.add_(loss.detach())
        self.correct.add_((logits.detach().argmax(1) == y).sum())

    def batch_sizes(self):
        return sorted({min(BATCH_SIZE, len(self.images)), len(self.images) % BATCH_SIZE} - {0}, reverse=True)

    def build(self, mode):
        """Every kernel and graph that the epochs take. The weights are put back into the same memory."""
        before = {name: values.clone() for name, values in self.network.state_dict().items()}
        for count in self.batch_sizes():
            if mode == "graph":
                self.replays[count] = self.capture(count)
            else:
                for _ in range(WARM_UP_STEPS):
                    self.step(self.order[:count])
        self.network.load_state_dict(before)

    def capture(self, count):
        offsets = torch.arange(count, device=self.order.device)

        def step():
            self.step(self.order.index_select(0, self.position + offsets))
            self.position.add_(count)

        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_STEPS):
                self.position.zero_()
                step()
        torch.cuda.current_stream().wait_stream(stream)
        self.optimizer.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        return graph.replay

    def epoch(self, steps=None, shuffle=True):
        """(mean loss, accuracy, images, seconds); the measures stay tensors until the end."""
        starts = range(0, len(self.order), BATCH_SIZE)[:steps]
        self.stopwatch.start()
        if shuffle:
            self.order.copy_(torch.randperm(len(self.order), device=self.order.device))
        for measure in (self.position, self.loss_sum, self.correct):
            measure.zero_()
        for first in starts:
            count = min(BATCH_SIZE, len(self.order) - first)
            if self.replays:
                self.replays[count]()
            else:
                self.step(self.order[first:first + count])
        seconds = self.stopwatch.stop()
        images = min(len(self.order), len(starts) * BATCH_SIZE)
        return self.loss_sum.item() / images, self.correct.item() / images, images, seconds


def on_device(images, labels, device):
    return (torch.from_numpy(images.astype(np.float32) / np.float32(255)).unsqueeze(1).to(device),
            torch.from_numpy(labels.astype(np.int64)).to(device))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--mode", choices=MODES, required=True)
    parser.add_argument("--precision", choices=["fp32", "tf32"], default="fp32")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--steps", type=int, help="of each epoch; all when left out")
    parser.add_argument("--lr", type=float, default=0.2)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit(f"PyTorch {torch.__version__} sees no GPU here")
    torch.backends.cudnn.benchmark = True  # its fastest algorithms
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = arguments.precision == "tf32"

    start = time.perf_counter()
    raw = read_dataset(arguments.data)
    train, test = on_device(*raw[:2], device), on_device(*raw[2:], device)
    for seed in arguments.seeds:
        torch.manual_seed(seed)
        training = Training(device, arguments.mode, *train, arguments.lr, make_network(False).to(device))
        preparation = time.perf_counter() - start
        for epoch in range(arguments.epochs):
            loss, train_accuracy, images, seconds = training.epoch(arguments.steps)
            training.stopwatch.start()
            test_accuracy = accuracy(training.network, *test)
            print(json.dumps({"event": "epoch", "seed": seed, "epoch": epoch, "train_loss": loss,
                              "train_accuracy": train_accuracy, "test_accuracy": test_accuracy, "seconds": seconds,
                              "images_per_second": images / seconds, "eval_seconds": training.stopwatch.stop(),
                              "preparation_seconds": preparation}), flush=True)
        start = time.perf_counter()


if __name__ == "__main__":
    main()
