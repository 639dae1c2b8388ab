"""The reference network and its training step in PyTorch, in the precision of the state that is passed in."""
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

BATCH_SIZE = 256
EPS = 1e-5
MOMENTUM = 0.9  # the weight of the OLD running statistic
CONV_SHAPES = [(20, 1, 5, 5), (50, 20, 3, 3)]
LINEAR_SHAPES = [(128, 1250), (10, 128)]


@dataclass(frozen=True)
class Rules:
    """What the reference computes. A planted error changes one of the last four."""
    name: str
    norm: bool = True
    norm_sums: bool = True  # the gradient of BN runs through its mean and variance too
    affine: bool = True  # gamma and beta are trained
    eps_inside: bool = True  # 1 / sqrt(var + eps), not 1 / (sqrt(var) + eps)
    update: bool = True

    def updated(self, parameter, gradient, lr):
        return parameter - lr * gradient if self.update else parameter


CORRECT = {True: Rules("BN"), False: Rules("no BN", norm=False)}
PLANTED = [Rules("BN backward without its two sums", norm_sums=False),
           Rules("gamma and beta frozen", affine=False),
           Rules("eps outside the root", eps_inside=False),
           Rules("no update", update=False)]


def layer_names(norm):
    """The indices in an nn.Sequential with an explicit Flatten: convolutions, batch norms, linear layers."""
    return (["0", "4"], ["1", "5"], ["9", "11"]) if norm else (["0", "3"], [], ["7", "9"])


def initial_state(norm, init, seed):
    """A float64 state with the initial values `tutorial` or `torch`."""
    random = np.random.default_rng(seed)
    convs, norms, linears = layer_names(norm)
    state = {}
    for name, shape in zip(convs + linears, CONV_SHAPES + LINEAR_SHAPES):
        if init == "tutorial":
            weight, bias = random.normal(0, 0.01, shape), np.zeros(shape[0])
        else:
            limit = 1 / np.sqrt(np.prod(shape[1:]))
            weight, bias = random.uniform(-limit, limit, shape), random.uniform(-limit, limit, shape[0])
        state |= {f"{name}.weight": weight, f"{name}.bias": bias}
    for name, (channels, *_) in zip(norms, CONV_SHAPES):
        if init == "tutorial":
            gamma, beta, var = random.normal(0, 0.01, channels), random.normal(0, 0.01, channels), 0.0
        else:
            gamma, beta, var = np.ones(channels), np.zeros(channels), 1.0
        state |= {f"{name}.weight": gamma, f"{name}.bias": beta, f"{name}.running_mean": np.zeros(channels),
                  f"{name}.running_var": np.full(channels, var), f"{name}.num_batches_tracked": np.array(0)}
    return {name: torch.from_numpy(np.asarray(values)) for name, values in state.items()}


def is_parameter(name):
    return name.endswith((".weight", ".bias"))


def rounded(state):
    """The same state with every float rounded to float32, in float64."""
    return {name: values.float().double() if values.is_floating_point() else values
            for name, values in state.items()}


def batch_norm(x, gamma, beta, rules):
    if rules.norm_sums and rules.eps_inside:
        return F.batch_norm(x, None, None, gamma, beta, training=True, eps=EPS)
    var, mean = torch.var_mean(x, (0, 2, 3), unbiased=False, keepdim=True)
    if not rules.norm_sums:
        var, mean = var.detach(), mean.detach()
    std = torch.sqrt(var + EPS) if rules.eps_inside else torch.sqrt(var) + EPS
    return (x - mean) / std * gamma.view(-1, 1, 1) + beta.view(-1, 1, 1)


@dataclass
class Step:
    loss: float  # mean over the batch
    gradients: dict  # summed over the batch, / BATCH_SIZE
    after: dict  # the state after the update
    hidden: torch.Tensor  # the first linear layer's output, before the ReLU
    conv_gradient_sums: dict  # conv bias name -> per channel sum |d loss / d conv output|, on the gradients' scale


def train_step(state, images, labels, rules, lr, flips=()):
    """One step on byte images (N, 28, 28) from `state`, which is left alone.

    `flips`: (image, unit) of the hidden ReLU that take the other side; right only where the input is 0 but for
    rounding."""
    after = dict(state)
    parameters = {name: values.detach().clone().requires_grad_()
                  for name, values in state.items() if is_parameter(name)}
    convs, norms, linears = layer_names(rules.norm)
    dtype = parameters[f"{convs[0]}.weight"].dtype
    # The division in float32 is part of the experiment: bntrain does not see more.
    x = torch.from_numpy(images.astype(np.float32) / np.float32(255)).to(dtype).unsqueeze(1)
    conv_outputs = {}
    for i, conv in enumerate(convs):
        x = F.conv2d(x, parameters[f"{conv}.weight"], parameters[f"{conv}.bias"])
        x.retain_grad()
        conv_outputs[f"{conv}.bias"] = x
        if rules.norm:
            name = norms[i]
            var, mean = torch.var_mean(x.detach(), (0, 2, 3), unbiased=False)
            after[f"{name}.running_mean"] = MOMENTUM * state[f"{name}.running_mean"] + (1 - MOMENTUM) * mean
            after[f"{name}.running_var"] = MOMENTUM * state[f"{name}.running_var"] + (1 - MOMENTUM) * var
            after[f"{name}.num_batches_tracked"] = state[f"{name}.num_batches_tracked"] + 1
            x = batch_norm(x, parameters[f"{name}.weight"], parameters[f"{name}.bias"], rules)
        x = F.max_pool2d(F.relu(x), 2)
    hidden = F.linear(x.flatten(1), parameters[f"{linears[0]}.weight"], parameters[f"{linears[0]}.bias"])
    active = hidden > 0
    for image, unit in flips:
        active[image, unit] = not active[image, unit]
    x = F.linear(hidden * active, parameters[f"{linears[1]}.weight"], parameters[f"{linears[1]}.bias"])
    loss_sum = F.cross_entropy(x, torch.from_numpy(labels.astype(np.int64)), reduction="sum")
    (loss_sum / BATCH_SIZE).backward()

    gradients = {}
    for name, parameter in parameters.items():
        frozen = not rules.affine and name.split(".")[0] in norms
        gradients[name] = torch.zeros_like(parameter) if frozen else parameter.grad
        after[name] = rules.updated(state[name], gradients[name], lr)
    sums = {name: output.grad.abs().sum((0, 2, 3)) for name, output in conv_outputs.items()}
    return Step(loss_sum.item() / len(labels), gradients, after, hidden.detach(), sums)
