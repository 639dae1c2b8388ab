#!/usr/bin/python3
"""The PyTorch twin of a network of bntrain: a torch.nn.Sequential that has the tensor names of bntrain's files.

    scripts/torch_network.py 'conv16x3,bn,gelu,res(conv16x3p1,bn,gelu),fc10'      prints it

    from torch_network import build
    network = build("lenet-bn")
    network.load_state_dict(safetensors.torch.load_file("model.safetensors"), strict=True)

Works with PyTorch 1.13 and later."""
import argparse
import re
import sys

try:
    import torch
except ImportError:
    if __name__ == "__main__":  # its help needs nothing
        helps = {"-h", "--help"} & set(sys.argv)
        sys.exit(print("usage: flags are listed where there is PyTorch\n", __doc__, sep="\n") if helps else "error: this needs PyTorch: apt-get install python3-torch python3-numpy")
    raise
from torch import nn

PRESETS = {"lenet-bn": "conv20x5,bn,relu,maxpool2,conv50x3,bn,relu,maxpool2,fc128,relu",
           "mlp-bn": "fc256,bn,relu,fc128,bn,relu",
           "d2l-lenet": "conv6x5,bn,sigmoid,avgpool2,conv16x5,bn,sigmoid,avgpool2,fc120,bn,sigmoid,fc84,bn,sigmoid",
           "mlp3-sigmoid": "fc100,bn,sigmoid,fc100,bn,sigmoid,fc100,bn,sigmoid"}


class Residual(nn.Module):
    """y = body(x) + shortcut(x), where no shortcut is the identity."""

    def __init__(self, body, shortcut=None):
        super().__init__()
        self.body = body
        self.shortcut = nn.Identity() if shortcut is None else shortcut

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


def expand(text, classes=10):
    """A preset's layers; any other text is returned as it is."""
    return f"{PRESETS[text]},fc{classes}" if text in PRESETS else text


def split(text, separator):
    """The parts of `text` between separators that are in no parentheses, without spaces around them."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            raise ValueError(f"'{text}': a ) without its (")
        if letter == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    if depth:
        raise ValueError(f"'{text}': a ( without its )")
    return [part.strip() for part in parts]


class Builder:
    """The options of all batch norms, and what builds a sequence from its text."""

    def __init__(self, bn_eps, bn_momentum):
        self.norm_options = {"eps": bn_eps, "momentum": round(1 - bn_momentum, 15)}  # 0.1, not 0.09999999999999998

    def sequence(self, text, x):
        """(nn.Sequential, its output) for the input `x`, with a Flatten before the first fc whose input is not flat."""
        layers = []
        for item in split(text, ","):
            if item.startswith("fc") and x.dim() > 2:
                layers.append(nn.Flatten())
                x = layers[-1](x)
            try:
                layers.append(self.layer(item, x).eval())
                x = layers[-1](x)
            except RuntimeError as error:
                raise ValueError(f"'{item}' on an input of shape {tuple(x.shape[1:])}: {error}") from error
        return nn.Sequential(*layers), x

    def layer(self, item, x):
        channels = x.shape[1]
        if match := re.fullmatch(r"res\((.*)\)", item):
            branches = [self.sequence(branch, x) for branch in split(match[1], "|")]
            shapes = [tuple(y.shape[1:]) for _, y in branches] + ([tuple(x.shape[1:])] if len(branches) == 1 else [])
            if len(branches) > 2 or shapes[0] != shapes[1]:
                raise ValueError(f"'{item}': res(BODY) or res(BODY|SHORTCUT) adds two equal shapes, not {shapes}")
            return Residual(*(branch for branch, _ in branches))
        if match := re.fullmatch(r"conv(\d+)x(\d+)(?:s(\d+))?(?:p(\d+))?(nobias)?", item):
            outputs, kernel, stride, padding = (int(number or default)
                                                for number, default in zip(match.groups(), (0, 0, 1, 0)))
            return nn.Conv2d(channels, outputs, kernel, stride, padding, bias=not match[5])
        if match := re.fullmatch(r"fc(\d+)(nobias)?", item):
            return nn.Linear(channels, int(match[1]), bias=not match[2])
        if match := re.fullmatch(r"(max|avg)pool(\d+)", item):
            return {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}[match[1]](int(match[2]))
        if item == "bn":
            return (nn.BatchNorm1d if x.dim() == 2 else nn.BatchNorm2d)(channels, **self.norm_options)
        if match := re.fullmatch(r"leakyrelu(\d+(?:\.\d*)?(?:e[+-]?\d+)?)?", item):
            return nn.LeakyReLU(float(match[1] or 0.01))
        plain = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "gelu": nn.GELU, "silu": nn.SiLU, "flatten": nn.Flatten}
        if item in plain:
            return plain[item]()
        raise ValueError(f"there is no layer '{item}'")


def build(text, input_shape=(1, 28, 28), classes=10, bn_eps=1e-5, bn_momentum=0.9):
    """The nn.Sequential of a network's text or of a preset, in training mode, with PyTorch's initial values.

    `input_shape`: (channels, height, width). `bn_momentum` is the weight of the OLD running statistics, as in bntrain.
    PyTorch keeps the unbiased variance in running_var: train with --bn-variance unbiased for equal training. Raises
    ValueError that names the layer."""
    with torch.no_grad():
        network, y = Builder(bn_eps, bn_momentum).sequence(expand(text.strip(), classes), torch.zeros(1, *input_shape))
    if y.shape[1:] != (classes,):
        raise ValueError(f"the network's output has the shape {tuple(y.shape[1:])}, not one element for each of the "
                         f"{classes} classes")
    return network.train()


def parse_shape(text):
    if not (match := re.fullmatch(r"(\d+)x(\d+)x(\d+)", text)):
        raise argparse.ArgumentTypeError(f"'{text}' is no CHANNELSxHEIGHTxWIDTH, such as 1x28x28")
    return tuple(map(int, match.groups()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", metavar="TEXT", help=f"layers with commas between them, or {', '.join(PRESETS)}")
    parser.add_argument("--input", type=parse_shape, default=(1, 28, 28), metavar="CxHxW", help="default 1x28x28")
    parser.add_argument("--classes", type=int, default=10, metavar="N", help="default 10")
    parser.add_argument("--bn-eps", type=float, default=1e-5, metavar="X", help="default 1e-5")
    parser.add_argument("--bn-momentum", type=float, default=0.9, metavar="X",
                        help="the weight of the old running statistics (default 0.9); PyTorch's momentum is 1 - X")
    arguments = parser.parse_args()
    try:
        print(build(arguments.text, arguments.input, arguments.classes, arguments.bn_eps, arguments.bn_momentum))
    except ValueError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
