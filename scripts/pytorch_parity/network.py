"""The initial values and the training step of a network in PyTorch: what bntrain is compared with."""
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from torch_network import build, expand

BATCH_SIZE = 256
EPS = 1e-5
MOMENTUM = 0.9  # the weight of the OLD running statistic


class Setting(namedtuple("Setting", "name text flags")):
    """A network: its text, and the flags that make bntrain train it."""

    @staticmethod
    def of(text):
        return Setting(text, expand(text), ["--network", text])


REFERENCE = Setting.of("lenet-bn")
WITHOUT_NORM = Setting("lenet-bn, --norm none", REFERENCE.text.replace(",bn", ""), ["--norm", "none"])


@dataclass(frozen=True)
class Rules:
    """What the reference computes. A planted error changes one of the last four."""
    name: str
    norm_sums: bool = True  # the gradient of BN runs through its mean and variance too
    affine: bool = True  # gamma and beta are trained
    eps_inside: bool = True  # 1 / sqrt(var + eps), not 1 / (sqrt(var) + eps)
    update: bool = True


CORRECT = Rules("correct")
PLANTED = [Rules("BN backward without its two sums", norm_sums=False),
           Rules("gamma and beta frozen", affine=False),
           Rules("eps outside the root", eps_inside=False),
           Rules("no update", update=False)]


def initial_state(text, init, seed):
    """A float64 state with the initial values `tutorial` or `torch`."""
    random = np.random.default_rng(seed)
    network = build(text).double()
    modules = [module for module in network.modules() if hasattr(module, "weight")]
    with torch.no_grad():
        for module in sorted(modules, key=lambda module: isinstance(module, _BatchNorm)):  # norms last: equal weights
            norm = isinstance(module, _BatchNorm)
            limit = 1 / np.sqrt(module.weight[0].numel())
            for values in module.parameters():
                bias = values is module.bias
                values.copy_(torch.from_numpy(
                    random.normal(0, 0.01, values.shape) if init == "tutorial" and (norm or not bias)
                    else random.uniform(-limit, limit, values.shape) if init == "torch" and not norm
                    else np.full(values.shape, float(norm and not bias))))
            if norm:
                module.running_var.fill_(float(init == "torch"))
    return copy_of(network.state_dict())


def copy_of(state):
    return {name: values.detach().clone() for name, values in state.items()}


def is_parameter(name):
    return name.endswith((".weight", ".bias"))


def rounded(state):
    """The same state with every float rounded to float32, in float64."""
    return {name: values.float().double() if values.is_floating_point() else values
            for name, values in state.items()}


def images_tensor(images, dtype):
    """(N, 1, 28, 28) of byte images. The division in float32 is part of the experiment: bntrain does not see more."""
    return torch.from_numpy(images.astype(np.float32) / np.float32(255)).to(dtype).unsqueeze(1)


@dataclass
class Step:
    """What a training step is made of, before its update."""
    loss: float  # mean over the batch
    gradients: dict  # summed over the batch, / BATCH_SIZE
    after: dict  # the state with the new running statistics
    layers: dict  # the layers with parameters: name -> (module, input, output with its gradient)
    hidden: dict  # the ReLUs on flat inputs: name -> input
    exposed: set  # layers before a ReLU or a max pooling of images: their gradients depend on its decisions

    def is_flat(self, layer):
        return self.layers[layer][2].dim() == 2

    def terms(self, name):
        """For every element of a parameter the sum of the absolute values that its gradient is the sum of."""
        layer, _, kind = name.rpartition(".")
        module, x, output = self.layers[layer]
        dy = output.grad.abs()
        if isinstance(module, _BatchNorm):
            x = nn.functional.batch_norm(x, None, None, training=True, eps=module.eps)
        if kind == "bias" or isinstance(module, _BatchNorm):
            return (dy if kind == "bias" else dy * x.abs()).transpose(0, 1).flatten(1).sum(1)
        if isinstance(module, nn.Linear):
            return dy.T @ x.abs()
        return nn.grad.conv2d_weight(x.abs(), module.weight.shape, dy, module.stride, module.padding)


class Network:
    """A network in PyTorch whose steps follow `rules`, in the precision of the state that was loaded last."""

    def __init__(self, text, rules=CORRECT):
        self.rules, self.module = rules, build(text, bn_eps=EPS, bn_momentum=MOMENTUM)
        self.flips = ()
        for name, module in self.module.named_modules():
            if isinstance(module, _BatchNorm):
                module.register_forward_hook(self.follow_rules)
            module.register_forward_hook(self.record(name))

    def follow_rules(self, norm, inputs, output):
        """The running variance becomes biased; a planted error gives another output."""
        x, = inputs
        axes = [axis for axis in range(x.dim()) if axis != 1]
        var, mean = torch.var_mean(x, axes, unbiased=False, keepdim=True)
        values = x.numel() // x.shape[1]
        # unbiased - biased = biased / (n - 1); a new tensor, as the backward pass wants the old one unchanged
        norm.running_var = norm.running_var - norm.momentum * var.detach().flatten() / (values - 1)
        if self.rules.norm_sums and self.rules.eps_inside:
            return output
        if not self.rules.norm_sums:
            var, mean = var.detach(), mean.detach()
        std = torch.sqrt(var + EPS) if self.rules.eps_inside else torch.sqrt(var) + EPS
        return (x - mean) / std * norm.weight.view(mean.shape) + norm.bias.view(mean.shape)

    def record(self, name):
        """What a hook of that module records; it also turns the ReLUs of `flips`."""
        def hook(module, inputs, output):
            decides = isinstance(module, (nn.ReLU, nn.LeakyReLU, nn.MaxPool2d))
            if decides and output.dim() == 4:
                self.exposed = set(self.layers)
            elif decides:
                self.hidden[name] = x = inputs[0].detach()
                other = torch.zeros_like(x, dtype=torch.bool)
                for _, image, unit in (flip for flip in self.flips if flip[0] == name):
                    other[image, unit] = True
                slope = getattr(module, "negative_slope", 0)
                return torch.where(other, inputs[0] * torch.where(x > 0, slope, 1), output)
            elif hasattr(module, "weight"):
                output.retain_grad()
                self.layers[name] = (module, inputs[0].detach(), output)
            return output
        return hook

    def load(self, state):
        self.module.to(next(iter(state.values())).dtype).load_state_dict(state)

    def update(self, twin, lr):
        """Moves the parameters by the gradients of the last step; `twin` is PyTorch's optimizer."""
        for group in twin.param_groups:
            group["lr"] = lr
        if self.rules.update:
            twin.step()

    def state(self):
        return copy_of(self.module.state_dict())

    def step(self, images, labels, flips=()):
        """Forward and backward pass on byte images (N, 28, 28). The gradients stay in the module, for an optimizer.

        `flips`: (ReLU, image, unit) that take the other side; right only where the input is 0 but for rounding."""
        self.flips, self.hidden, self.exposed, self.layers = flips, {}, set(), {}
        self.module.zero_grad()
        x = images_tensor(images, next(self.module.parameters()).dtype)
        loss_sum = nn.functional.cross_entropy(self.module(x), torch.from_numpy(labels.astype(np.int64)),
                                               reduction="sum")
        (loss_sum / BATCH_SIZE).backward()
        for module in self.module.modules():
            if isinstance(module, _BatchNorm) and not self.rules.affine:
                module.weight.grad.zero_()
                module.bias.grad.zero_()
        gradients = {name: values.grad.clone() for name, values in self.module.named_parameters()}
        return Step(loss_sum.item() / len(labels), gradients, self.state(), self.layers, self.hidden, self.exposed)
