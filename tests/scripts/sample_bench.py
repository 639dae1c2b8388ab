#!/usr/bin/env python3
"""Writes a folder like those of `bntrain bench`, with invented curves, for the tests of its report.

usage: sample_bench.py DIR [--norms batch,none] [--inits tutorial,torch] [--lrs 0.05,...] [--seeds 0,1,2] [--records]
"""
import argparse
import hashlib
import json
import math
import pathlib
import statistics

STEPS_PER_EPOCH, CLASSES, TARGET = 235, 10, 0.85
LAYERS = [("1 bn", 20), ("5 bn", 50)]


def noise(*key):
    """In -1..1, the same for the same key on every machine."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**47 - 1


def stat(values):
    values = [value for value in values if value is not None]
    if not values:
        return None
    return {"n": len(values), "mean": statistics.fmean(values), "min": min(values), "max": max(values),
            "sd": statistics.stdev(values) if len(values) > 1 else None}


def fate(norm, init, lr, seed):
    """What becomes of a run, after what PyTorch gives: init torch lets no BN train at rates at which BN does not."""
    limit = {("batch", "tutorial"): 1.2, ("none", "tutorial"): 0.6}.get((norm, init), 1.2)
    if lr > limit:
        if norm == "batch" and (lr > 2 or seed != 1):
            return "diverged"
        return "chance"
    return "trained"


def accuracy_at(norm, init, lr, seed, epochs_trained, end):
    if end == "chance":
        return 0.1
    plateau = 0.902 - 0.012 * abs(math.log10(lr / 0.3)) ** 2 + (0.006 if norm == "batch" else 0)
    if init == "torch" and norm == "batch" and lr >= 1:
        plateau = 0.78
    speed = (4.5 if norm == "batch" else 2.2) * (lr / 0.2) ** 0.35
    delay = 0.55 if init == "tutorial" and norm == "batch" else 1.25 if init == "tutorial" else 0.1
    speed *= 1 + 0.25 * noise("speed", norm, init, lr, seed)
    delay *= 1 + 0.25 * noise("delay", norm, init, lr, seed)
    progress = max(0.0, epochs_trained - delay * (0.2 / lr) ** 0.3)
    jitter = (0.06 / (1 + epochs_trained)) * noise("accuracy", norm, init, lr, seed, round(epochs_trained, 3))
    return round(min(0.99, max(0.1, 0.1 + (plateau - 0.1) * (1 - math.exp(-speed * progress ** 0.8)) + jitter)), 4)


def make_run(norm, init, lr, seed, epochs, every):
    end = fate(norm, init, lr, seed)
    steps = epochs * STEPS_PER_EPOCH
    bad = None
    if end == "diverged":
        bad = 20 if lr > 2 else 300 + 40 * seed
    last = steps if bad is None else bad - 1
    points = sorted({*range(every, last + 1, every), *range(STEPS_PER_EPOCH, last + 1, STEPS_PER_EPOCH)})
    evaluations = []
    for step in points:
        accuracy = accuracy_at(norm, init, lr, seed, step / STEPS_PER_EPOCH, end)
        evaluations.append({"step": step, "test_loss": round(2.31 * (1 - accuracy) ** 0.9 / 0.91, 6),
                            "test_accuracy": accuracy})
    at = {evaluation["step"]: evaluation for evaluation in evaluations}
    records = []
    for epoch in range(last // STEPS_PER_EPOCH):
        test = at[(epoch + 1) * STEPS_PER_EPOCH]
        train = 0.5 * (test["test_accuracy"] + accuracy_at(norm, init, lr, seed, epoch + 0.3, end))
        loss = 2.303 if end == "chance" else round(2.35 * (1 - train) ** 0.95, 6)
        records.append({"epoch": epoch, "steps": STEPS_PER_EPOCH, "train_loss": loss, "train_loss_batch_mean": loss,
                        "train_accuracy": train, "train_accuracy_batch_mean": train,
                        "test_loss": test["test_loss"], "test_accuracy": test["test_accuracy"],
                        "test_accuracy_batch_mean": test["test_accuracy"]})
    best = max((evaluation["test_accuracy"] for evaluation in evaluations), default=None)
    if end == "trained" and (best or 0) < TARGET:
        end = "below_target"
    reached = [evaluation["step"] for evaluation in evaluations if evaluation["test_accuracy"] >= TARGET]
    return {"seed": seed, "outcome": end,
            "divergence": None if bad is None else {"epoch": bad // STEPS_PER_EPOCH, "step": bad, "layer": "4 conv50x3"},
            "best_test_accuracy": best, "steps_to_target": reached[0] if reached else None,
            "seconds_to_target": None, "train_seconds": None, "epochs": records, "evaluations": evaluations}


def make_arm(norm, init, lr, seeds, epochs, every):
    runs = [make_run(norm, init, lr, seed, epochs, every) for seed in seeds]
    summary = {outcome: sum(run["outcome"] == outcome for run in runs)
               for outcome in ("trained", "below_target", "chance", "diverged")}
    finished = max(len(run["epochs"]) for run in runs)
    summary["epochs"] = [
        {"epoch": epoch, **{key: stat([run["epochs"][epoch][key] for run in runs if len(run["epochs"]) > epoch])
                            for key in ("test_accuracy", "train_loss")}} for epoch in range(finished)]
    for key in ("best_test_accuracy", "steps_to_target"):
        summary[key] = stat([run[key] for run in runs])
    bn = "bn," if norm == "batch" else ""
    return {"norm": norm, "init": init, "lr": lr,
            "network": f"conv20x5,{bn}relu,maxpool2,conv50x3,{bn}relu,maxpool2,fc128,relu,fc10",
            "runs": runs, "summary": summary}


def differences(arms, inits, lrs, epochs):
    by_key = {(arm["norm"], arm["init"], arm["lr"]): arm for arm in arms}
    rows = []
    for init in inits:
        for lr in lrs:
            pairs = list(zip(by_key["batch", init, lr]["runs"], by_key["none", init, lr]["runs"]))
            for epoch in range(epochs):
                rows.append({"init": init, "lr": lr, "epoch": epoch, "test_accuracy": stat(
                    [one["epochs"][epoch]["test_accuracy"] - other["epochs"][epoch]["test_accuracy"]
                     for one, other in pairs if min(len(one["epochs"]), len(other["epochs"])) > epoch])})
    return rows


def make_bench(norms=("batch", "none"), inits=("tutorial", "torch"), lrs=(0.05, 0.1, 0.2, 0.5, 1, 2), seeds=(0, 1, 2),
               epochs=5, every=47):
    arms = [make_arm(norm, init, lr, seeds, epochs, every) for norm in norms for init in inits for lr in lrs]
    largest = [{"norm": norm, "init": init, "lr": max(
        (arm["lr"] for arm in arms if (arm["norm"], arm["init"]) == (norm, init) and
         arm["summary"]["trained"] == len(seeds)), default=None)} for norm in norms for init in inits]
    return {"schema": "bntrain-bench", "schema_version": 1, "bntrain": "0.1.0",
            "config": {"data": "", "network": "lenet-bn", "norm": list(norms), "init": list(inits), "lr": list(lrs),
                       "seeds": list(seeds), "epochs": epochs, "batch-size": 256, "bn-momentum": 0.9, "bn-eps": 1e-05,
                       "bn-variance": "biased", "momentum": 0, "weight-decay": 0, "eval-every": every,
                       "device": "cpu", "threads": 2, "precision": "fp32"},
            "environment": {"backend": "cpu", "variant": "cpu-v3 (8 lanes)", "processor": "Invented Processor, 2 cores",
                            "compiler": "12.2.0"},
            "dataset": {"name": "Fashion-MNIST", "source": "/usr/share/datasets/fashion-mnist", "known_digests": True,
                        "image": "1x28x28", "classes": CLASSES, "train": 60000, "test": 10000},
            "steps_per_epoch": STEPS_PER_EPOCH, "target": TARGET, "chance": 1.5 / CLASSES, "arms": arms,
            "largest_lr": largest,
            "differences": differences(arms, inits, lrs, epochs) if {"batch", "none"} <= set(norms) else []}


def percentiles(centre, width):
    return {str(p): centre + width * z for p, z in ((5, -1.64), (15, -1.04), (50, 0.0), (85, 1.04), (95, 1.64))}


def run_records(arm, run, interval=20):
    """The lines of a run's metrics file."""
    yield {"event": "start", "config": {key: arm[key] for key in ("norm", "init", "lr")}, "seed": run["seed"],
           "network": arm["network"], "steps_per_epoch": STEPS_PER_EPOCH}
    end = run["divergence"]["step"] if run["divergence"] else len(run["epochs"]) * STEPS_PER_EPOCH
    for step in range(interval, end + 1, interval):
        t = step / STEPS_PER_EPOCH
        for depth, (layer, channels) in enumerate(LAYERS if arm["norm"] == "batch" else []):
            rows = []
            for channel in range(channels):
                own = noise("channel", layer, channel)
                mean, var = 0.4 * own * math.tanh(2 * t) + 0.1, (0.3 + 0.1 * own) * (1 + 3 * t)
                wobble = 1 + 0.08 * noise("wobble", layer, channel, step)
                lag = 1 - math.exp(-step / 10)
                rows.append({"batch_mean": mean * wobble, "batch_var": var * wobble, "running_mean": mean * lag,
                             "running_var": var * lag, "gamma": 0.3 * math.tanh(t) * (1 + 0.5 * own) + 0.01 * own,
                             "beta": -0.1 * math.tanh(t) + 0.05 * own})
            size = 0.05 * math.exp(-0.3 * t) * (1 + 0.3 * noise("gradient", layer, step))
            yield {"event": "bn", "step": step, "layer": layer, "input_percentiles": percentiles(0.1 * t, 0.5 + 0.4 * t),
                   "channels": rows, "gradient_norm_output": size, "gradient_norm_input": size * (0.2 + 0.5 * depth)}
        for layer, stretch in (("2 relu", 1), ("6 relu", 2)):
            wide = 0.3 * stretch * math.tanh(t) if arm["norm"] == "batch" else stretch * (0.05 + t ** 1.5)
            shift = 0.02 * noise("activation", layer, step) - (0.1 if arm["norm"] == "batch" else 0.4 * t)
            yield {"event": "activation", "step": step, "layer": layer, "unit": 0,
                   "percentiles": percentiles(shift, wide), "all_percentiles": percentiles(shift * 0.5, wide * 1.3)}
    for epoch in run["epochs"]:
        yield {"event": "epoch", **epoch}
    yield {"event": "end", "status": "diverged" if run["divergence"] else "finished"}


def write_bench(folder, bench, records=False):
    folder = pathlib.Path(folder)
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(bench, indent=1) + "\n")
    for arm in bench["arms"] if records else []:
        for run in arm["runs"]:
            name = f"{arm['norm']}-{arm['init']}-lr{arm['lr']}-seed{run['seed']}.jsonl"
            lines = (json.dumps(record) + "\n" for record in run_records(arm, run))
            (folder / "runs" / name).write_text("".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--norms", default="batch,none")
    parser.add_argument("--inits", default="tutorial,torch")
    parser.add_argument("--lrs", default="0.05,0.1,0.2,0.5,1,2")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--records", action="store_true", help="what went on inside, too")
    chosen = parser.parse_args()
    write_bench(chosen.folder, make_bench(chosen.norms.split(","), chosen.inits.split(","),
                                          [float(lr) for lr in chosen.lrs.split(",")],
                                          [int(seed) for seed in chosen.seeds.split(",")], chosen.epochs), chosen.records)


if __name__ == "__main__":
    main()
