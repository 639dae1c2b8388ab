"""Views of results.json that the figures and the text share."""
import math
from dataclasses import dataclass


@dataclass
class Bench:
    results: dict
    norms: list
    inits: list
    lrs: list

    def __post_init__(self):
        self.arms = {(arm["norm"], arm["init"], arm["lr"]): arm for arm in self.results["arms"]}

    def arm(self, norm, init, lr):
        return self.arms.get((norm, init, lr))

    def runs(self, norm, init, lr):
        arm = self.arm(norm, init, lr)
        return arm["runs"] if arm else []

    @property
    def epochs(self):
        return self.results["config"]["epochs"]

    @property
    def paired(self):
        return bool(self.results["differences"])

    def largest_lr(self, norm, init):
        """None where no learning rate trained all seeds."""
        return next((entry["lr"] for entry in self.results["largest_lr"]
                     if (entry["norm"], entry["init"]) == (norm, init)), None)

    def difference(self, init, lr, epoch):
        """Of test accuracy, batch minus none after that epoch, over the pairs of equal seed; None where there is none."""
        return next((entry["test_accuracy"] for entry in self.results["differences"]
                     if (entry["init"], entry["lr"], entry["epoch"]) == (init, lr, epoch)), None)


def open_bench(results):
    arms = results["arms"]

    def distinct(key):
        return list(dict.fromkeys(arm[key] for arm in arms))
    return Bench(results, distinct("norm"), distinct("init"), sorted(distinct("lr")))


def curve(runs, points):
    """(x, mean, min, max) over the runs that have a value at x; `points` gives a run's (x, value)."""
    values = {}
    for run in runs:
        for x, value in points(run):
            if value is not None and math.isfinite(value):
                values.setdefault(x, []).append(value)
    rows = [(x, sum(at) / len(at), min(at), max(at)) for x, at in sorted(values.items())]
    return list(zip(*rows)) if rows else [(), (), (), ()]


def accuracy_points(run, steps_per_epoch):
    """(epochs trained, test accuracy), where possible from more than the ends of epochs."""
    if run["evaluations"]:
        return [(at["step"] / steps_per_epoch, at["test_accuracy"]) for at in run["evaluations"]]
    return [(epoch["epoch"] + 1, epoch["test_accuracy"]) for epoch in run["epochs"]]


def loss_points(run):
    return [(epoch["epoch"] + 1, epoch["train_loss"]) for epoch in run["epochs"]]


def count(runs, condition):
    return sum(1 for run in runs if condition(run))
