"""The flags of an update, PyTorch's optimizer for them, and what rounding in float32 explains of an update's error."""
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from .schedules import learning_rates

UPDATES = 3  # of an optimizer that remembers: from the second on its memory counts


@dataclass(frozen=True)
class Optimizer:
    lr: float
    optimizer: str = "sgd"
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = None  # None is the optimizer's default
    betas: tuple = (0.9, 0.999)
    adam_eps: float = 1e-8
    decay: str = "all"
    schedule: str = "constant"
    warmup: int = 0

    @staticmethod
    def add_arguments(group):
        group.add_argument("--lr", type=float, metavar="X", help="default: the check's own, for AdamW 1e-3")
        group.add_argument("--optimizer", choices=["sgd", "adamw"], default="sgd")
        group.add_argument("--momentum", type=float, default=0.0, metavar="X")
        group.add_argument("--nesterov", action="store_true")
        group.add_argument("--weight-decay", type=float, metavar="X")
        group.add_argument("--betas", type=lambda text: tuple(map(float, text.split(","))), default=(0.9, 0.999),
                           metavar="B1,B2")
        group.add_argument("--adam-eps", type=float, default=1e-8, metavar="X")
        group.add_argument("--decay", choices=["all", "weights"], default="all")
        group.add_argument("--schedule", default="constant", metavar="S",
                           help="constant|step:EPOCHS:GAMMA|cosine[:MIN]|onecycle|linear:STEP=FACTOR,...")
        group.add_argument("--warmup", type=int, default=0, metavar="STEPS")

    @staticmethod
    def of(arguments, lr):
        """Those that add_arguments() added; `lr` where none was given, or AdamW's default."""
        given = {name: getattr(arguments, name) for name in Optimizer.__dataclass_fields__}
        default = 1e-3 if arguments.optimizer == "adamw" else lr
        return Optimizer(**given | {"lr": default if arguments.lr is None else arguments.lr})

    def flags(self):
        """bntrain's, but for those that have their default values."""
        flags = ["--lr", repr(self.lr)]
        for name, field in self.__dataclass_fields__.items():
            value = getattr(self, name)
            if name != "lr" and value != field.default:
                flags.append("--" + name.replace("_", "-"))
                if value is not True:
                    flags.append(",".join(map(repr, value)) if isinstance(value, tuple) else value)
        return flags

    @property
    def decay_factor(self):
        return self.weight_decay if self.weight_decay is not None else 0.01 if self.optimizer == "adamw" else 0.0

    @property
    def updates(self):
        """How many steps from one state show all that the optimizer does."""
        plain = self.optimizer == "sgd" and not self.momentum and self.schedule == "constant" and not self.warmup
        return 1 if plain else UPDATES

    def learning_rates(self, total, steps_per_epoch):
        return learning_rates(self.schedule, self.warmup, self.lr, total, steps_per_epoch)

    def twin(self, module):
        """PyTorch's optimizer over the parameters of `module`."""
        weights = {f"{name}.weight" for name, layer in module.named_modules()
                   if isinstance(layer, (nn.Conv2d, nn.Linear))}
        groups = [{"params": [], "weight_decay": self.decay_factor}, {"params": [], "weight_decay": 0.0}]
        for name, parameter in module.named_parameters():
            groups[self.decay == "weights" and name not in weights]["params"].append(parameter)
        groups = [group for group in groups if group["params"]]
        if self.optimizer == "adamw":
            return torch.optim.AdamW(groups, self.lr, self.betas, self.adam_eps)
        return torch.optim.SGD(groups, self.lr, self.momentum, nesterov=self.nesterov)


class Rounding:
    """What the error of one parameter tensor's updates may be, from the absolute values of all that is added up.

    In units of 2^-23: half a unit of w for the result's rounding, as much for the decay of AdamW and for its factor,
    and half a unit of the update for each factor, product, sum, quotient or root in it. What is remembered passes
    through several of them in every step. The coefficients below round these counts up."""

    def __init__(self, optimizer, decay):
        self.optimizer, self.decay = optimizer, decay
        self.steps, self.first, self.second = 0, 0.0, 0.0

    def allowed(self, weight, gradient, lr):
        """Of the next update of `weight` by `gradient`."""
        options, weight, gradient = self.optimizer, np.abs(weight), np.abs(gradient)
        self.steps += 1
        if options.optimizer == "adamw":
            beta1, beta2 = options.betas
            self.first = beta1 * self.first + (1 - beta1) * gradient
            self.second = beta2 * self.second + (1 - beta2) * gradient ** 2
            root = np.sqrt(self.second) / math.sqrt(1 - beta2 ** self.steps)
            update = lr / (1 - beta1 ** self.steps) * self.first / (root + options.adam_eps)
            return 2.0 ** -23 * ((2 if self.decay else 1) * weight + (4 + 4 * self.steps) * update)
        added = gradient + self.decay * weight
        self.first = options.momentum * self.first + added
        update = lr * (added + options.momentum * self.first if options.nesterov else self.first)
        roundings = 2 + 2 * bool(self.decay) + 2 * self.steps * bool(options.momentum)
        return 2.0 ** -23 * (weight + roundings * update)


def expected_updates(module, optimizer, states, gradients, lrs):
    """For each step the parameters after it (name -> float64 array) and what their errors may be: what PyTorch's
    optimizer makes of bntrain's own states and gradients, so that no error but the update's is judged."""
    module.double()
    twin, parameters = optimizer.twin(module), dict(module.named_parameters())
    decays = {id(parameter): group["weight_decay"] for group in twin.param_groups for parameter in group["params"]}
    rounding = {name: Rounding(optimizer, decays[id(parameter)]) for name, parameter in parameters.items()}
    for state, gradient, lr in zip(states, gradients, lrs):
        module.load_state_dict(state)
        for group in twin.param_groups:
            group["lr"] = lr
        allowed = {}
        for name, parameter in parameters.items():
            parameter.grad = torch.from_numpy(gradient[name].astype(np.float64))
            allowed[name] = rounding[name].allowed(state[name].numpy(), parameter.grad.numpy(), lr)
        twin.step()
        yield {name: parameter.detach().numpy().copy() for name, parameter in parameters.items()}, allowed
