"""Learning rates by step, from torch.optim.lr_scheduler, and whether bntrain's metrics tell the same."""
import numpy as np
import torch
from torch.optim import lr_scheduler


def scheduler(optimizer, schedule, total, steps_per_epoch):
    """PyTorch's for bntrain's text, stepped once a training step."""
    kind, _, options = schedule.partition(":")
    if kind == "constant":
        return lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    if kind == "step":
        epochs, gamma = options.split(":")
        return lr_scheduler.StepLR(optimizer, int(epochs) * steps_per_epoch, float(gamma))
    if kind == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimizer, total, float(options or 0))
    if kind == "onecycle":
        return lr_scheduler.OneCycleLR(optimizer, optimizer.param_groups[0]["lr"], total, cycle_momentum=False)
    if kind == "linear":
        points = [tuple(map(float, point.split("="))) for point in options.split(",")]
        return lr_scheduler.LambdaLR(optimizer, lambda step: float(np.interp(step, *zip(*points))))
    raise SystemExit(f"there is no schedule '{schedule}'")


def rates_of(lr, total, make_scheduler):
    """The learning rates of `total` steps; `make_scheduler` takes the optimizer."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr)
    schedule, rates = make_scheduler(optimizer), []
    for _ in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(rates) < total:
            schedule.step()
    return rates


def learning_rates(schedule, warmup, lr, total, steps_per_epoch):
    """One for each of `total` steps. After `warmup` steps, in which step t has (t + 1) / warmup of the schedule's first
    rate, the schedule runs over the other steps."""
    after = max(total - warmup, 1)
    rates = rates_of(lr, after, lambda optimizer: scheduler(optimizer, schedule, after, steps_per_epoch))
    rising = rates[:1] * warmup if warmup < 2 else rates_of(
        rates[0], warmup, lambda optimizer: lr_scheduler.LinearLR(optimizer, 1 / warmup, 1.0, warmup - 1))
    return (rising + rates)[:total]
