"""One step of networks with sigmoids and average pooling from the same state: bntrain's float32 against a float64
torch.nn.Sequential. Nothing in them decides between two values, so that the bounds hold in every step."""
import re

import numpy as np
import torch
from torch import nn

from .network import BATCH_SIZE, EPS, MOMENTUM, is_parameter, rounded
from .program import Program
from .step_check import LOSS_BOUND, RUNNING_BOUND, Measures, relative_norm

NETWORKS = ["conv6x5,bn,sigmoid,avgpool2,conv16x5,bn,sigmoid,avgpool2,fc120,bn,sigmoid,fc84,bn,sigmoid,fc10",
            "fc100,bn,sigmoid,fc100,bn,sigmoid,fc100,bn,sigmoid,fc10",
            "conv5x3,sigmoid,avgpool3,conv7x2,avgpool2,bn,sigmoid,fc20,sigmoid,fc10"]
LR = 0.5
GRADIENT_BOUND = 2e-5


def make_network(text, seed):
    """The nn.Sequential of a network text, with a Flatten in front of the first linear layer."""
    torch.manual_seed(seed)
    network = nn.Sequential().double()
    x = torch.zeros(2, 1, 28, 28, dtype=torch.float64)
    for item in text.split(","):
        kind, sizes = re.match("[a-z]+", item).group(), [int(size) for size in re.findall("[0-9]+", item)]
        if kind == "fc" and x.dim() == 4:
            network.append(nn.Flatten())
            x = x.flatten(1)
        norm = nn.BatchNorm2d if x.dim() == 4 else nn.BatchNorm1d
        layer = {"conv": lambda: nn.Conv2d(x.shape[1], sizes[0], sizes[1]),
                 "fc": lambda: nn.Linear(x.shape[1], sizes[0]),
                 "bn": lambda: norm(x.shape[1], eps=EPS, momentum=1 - MOMENTUM),
                 "sigmoid": nn.Sigmoid,
                 "avgpool": lambda: nn.AvgPool2d(sizes[0])}[kind]().double()
        network.append(layer)
        x = layer.eval()(x).detach()
    return network.train()


def take_step(network, images, labels):
    """The loss. Gradients are left in the network, which is moved on."""
    x = torch.from_numpy(images.astype(np.float32) / np.float32(255)).double().unsqueeze(1)
    optimizer = torch.optim.SGD(network.parameters(), LR)
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(network(x), torch.from_numpy(labels.astype(np.int64)))
    loss.backward()
    optimizer.step()
    return loss.item()


def compare(measures, network, loss, outcome):
    after = network.state_dict()
    gradients = {name: parameter.grad.numpy() for name, parameter in network.named_parameters()}
    if set(outcome.after) != set(after) or set(outcome.gradients) != set(gradients):
        raise SystemExit(f"tensor names: saved {sorted(outcome.after)}, gradients {sorted(outcome.gradients)}")
    measures.add("loss", abs(outcome.losses[0] - loss) / loss, LOSS_BOUND)
    for name, expected in gradients.items():
        # A batch norm takes the bias in front of it out again: rounding is left, of what the weights' gradient is of.
        scale = np.linalg.norm(expected) + np.linalg.norm(gradients[name.replace("bias", "weight")])
        error = np.linalg.norm(outcome.gradients[name].astype(np.float64) - expected)
        measures.add(f"gradient {name}", error / scale, GRADIENT_BOUND)
    for name, values in outcome.after.items():  # how parameters move is step_check's business
        if name.endswith("num_batches_tracked"):
            measures.add(f"after {name}", abs(int(values) - int(after[name])), 0)
        elif not is_parameter(name):
            measures.add(f"after {name}", relative_norm(values.astype(np.float64), after[name].numpy()), RUNNING_BOUND)


def run(program, images, labels, text, seed, states, every):
    """Every `every`th state of a float64 run, rounded to float32. torch keeps the unbiased variance."""
    ours = Program(program.path, program.test, [*program.flags, "--network", text, "--bn-variance", "unbiased"])
    network, measures = make_network(text, seed), Measures()
    order = np.random.default_rng(2000 + seed).permutation(len(images))
    for step in range((states - 1) * every + 1):
        batch = order[step * BATCH_SIZE:][:BATCH_SIZE]
        checked = step % every == 0
        if checked:
            state = rounded({name: values.clone() for name, values in network.state_dict().items()})
            network.load_state_dict(state)
        loss = take_step(network, images[batch], labels[batch])
        if checked:
            compare(measures, network, loss, ours.train(state, images[batch], labels[batch], True, LR, 1))
    return measures
