#!/usr/bin/env python3
"""Random networks with small and odd sizes: one line a network, the flags with which bntrain trains it.

Convolutions, batch norms, activations, poolings, fully connected layers and residual blocks in random order, on images
of 1 to 5 channels and 5 to 47 pixels a side, batches of 1 to 300. Equal seeds give equal lines. To run them:

    scripts/random_networks.py --seed 1 --count 120 | xargs -L 1 bntrain --device check --quiet
"""
import argparse
import random
import shlex
from dataclasses import dataclass

ACTIVATIONS = ["relu", "relu", "relu", "sigmoid", "gelu", "silu", "leakyrelu", "leakyrelu0.2"]
CHANNELS = [1, 3, 7, 8, 16, 20, 33, 50, 64, 96]
UNITS = [1, 5, 32, 77, 128, 300]
LARGEST_BATCH = 300
MULTIPLY_ADDS = 4e8  # of a forward pass, so that a step takes a CPU well under a second


@dataclass
class Shape:
    channels: int
    height: int
    width: int

    def after_window(self, size, stride=1, padding=0):
        height, width = ((side + 2 * padding - size) // stride + 1 for side in (self.height, self.width))
        return Shape(self.channels, height, width)

    def smallest_side(self):
        return min(self.height, self.width)

    def size(self):
        return self.channels * self.height * self.width


class Generator:
    def __init__(self, seed):
        self.rng = random.Random(seed)

    def happens(self, probability):
        return self.rng.random() < probability

    def norm_and_activation(self):
        activation = self.rng.choice(ACTIVATIONS)
        order = self.rng.random()
        if order < 0.6:
            return ["bn", activation]
        if order < 0.75:
            return [activation, "bn"]
        return [["bn"], [activation], []][self.rng.randrange(3)]

    def convolution(self, shape):
        kernel = self.rng.choice([k for k in (1, 2, 3, 3, 5, 7) if k <= shape.smallest_side()])
        stride = self.rng.choice([2, 3]) if self.happens(0.25) else 1
        padding = self.rng.randrange(kernel) if self.happens(0.4) else 0
        channels = self.rng.choice(CHANNELS)
        text = f"conv{channels}x{kernel}" + (f"s{stride}" if stride > 1 else "") + (f"p{padding}" if padding else "")
        after = shape.after_window(kernel, stride, padding)
        after.channels = channels
        self.multiply_adds += after.size() * shape.channels * kernel * kernel
        return [text + ("nobias" if self.happens(0.3) else "")], after

    def pooling(self, shape):
        kind, size = self.rng.choice(["maxpool", "maxpool", "avgpool"]), self.rng.choice([2, 2, 3])
        if size > shape.smallest_side():
            return [], shape
        return [f"{kind}{size}"], shape.after_window(size, size)

    def residual_block(self, shape):
        """A body of two convolutions; where it has a stride, a shortcut of the same."""
        kernel = self.rng.choice([1, 3])
        stride = self.rng.choice([1, 1, 2])
        inner, outer = self.rng.choice(CHANNELS[:8]), shape.channels if stride == 1 else self.rng.choice(CHANNELS[:8])
        after = shape.after_window(kernel, stride, kernel // 2)
        after.channels = outer
        self.multiply_adds += (shape.channels + outer) * inner * kernel * kernel * after.height * after.width
        body = [f"conv{inner}x{kernel}s{stride}p{kernel // 2}", *self.norm_and_activation(),
                f"conv{outer}x{kernel}p{kernel // 2}", *(["bn"] if self.happens(0.7) else [])]
        shortcut = f"|conv{outer}x1s{stride}" if stride > 1 else ""
        return [f"res({','.join(body)}{shortcut})", *([self.rng.choice(ACTIVATIONS)] if self.happens(0.8) else [])], after

    def layers(self, shape, classes):
        layers = []
        for _ in range(self.rng.choice([0, 1, 1, 2, 2, 3])):
            added, shape = self.convolution(shape)
            layers += added + self.norm_and_activation()
            for part, probability in ((self.pooling, 0.5), (self.residual_block, 0.25)):
                if self.happens(probability):
                    added, shape = part(shape)
                    layers += added
        features = shape.size()
        for _ in range(self.rng.choice([0, 1, 1, 2])):
            units = self.rng.choice(UNITS)
            self.multiply_adds += features * units
            layers += [f"fc{units}" + ("nobias" if self.happens(0.2) else ""), *self.norm_and_activation()]
            features = units
        return layers + [f"fc{classes}"]

    def network(self):
        """The flags of one network. Those that take too long are drawn again."""
        while True:
            self.multiply_adds = 0
            height = self.rng.choice([5, 8, 11, 16, 28, 33, 47])
            width = height if self.happens(0.7) else self.rng.choice([6, 9, 20, 31])
            shape = Shape(self.rng.choice([1, 1, 2, 3, 5]), height, width)
            classes = self.rng.choice([2, 3, 10, 17, 100])
            batch = self.rng.choice([1, 2, 3, 7, 16, 64, 100, 256, LARGEST_BATCH])
            layers = self.layers(shape, classes)
            if batch * self.multiply_adds <= MULTIPLY_ADDS:
                return self.flags(layers, shape, classes, batch)

    def flags(self, layers, shape, classes, batch):
        train = max(2 * batch + 1, 3 * classes)  # the last batch is a short one
        flags = ["--network", ",".join(layers), "--batch-size", str(batch), "--steps", "6", "--epochs", "6",
                 "--data", f"synthetic:shape={shape.channels}x{shape.height}x{shape.width},classes={classes},train={train},"
                           f"test=50,seed={self.rng.randrange(100)}",
                 "--init", self.rng.choice(["torch", "he", "xavier", "gluon"]), "--seed", str(self.rng.randrange(1000))]
        if self.happens(0.2):
            flags += ["--optimizer", "adamw"]
        else:
            flags += ["--lr", self.rng.choice(["0.05", "0.1", "0.2"])]
            flags += ["--momentum", "0.9"] if self.happens(0.4) else []
        flags += ["--weight-decay", "0.001"] if self.happens(0.4) else []
        flags += ["--bn-convention", self.rng.choice(["torch", "keras", "caffe", "onnx"])] if self.happens(0.4) else []
        return flags


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=120)
    arguments = parser.parse_args()
    generator = Generator(arguments.seed)
    for _ in range(arguments.count):
        print(shlex.join(generator.network()))


if __name__ == "__main__":
    main()
