"""The learning rate of every step in bntrain's metrics against torch.optim.lr_scheduler."""
from .optimizers import Optimizer

BOUND = 1e-12  # relative
LR = 0.3
STEPS_PER_EPOCH = 7
TRAINING = ["--data", "synthetic:shape=1x4x4,classes=4,train=112,test=16", "--network", "fc4", "--batch-size", 16]
LENGTHS = {21: ["--epochs", 3], 24: ["--steps", 24]}  # steps -> flags; the second ends within an epoch
SCHEDULES = ["constant", "step:1:0.5", "step:2:0.1", "cosine", "cosine:0.01", "onecycle", "linear:0=0.5,7=1,20=0.01",
             "linear:3=1,9=0.1", "linear:5=0.25"]
WARMUPS = [0, 1, 5, 9]


def lr_error(told, expected):
    """The largest relative difference; infinite where a step is missing, NaN where bntrain says so."""
    if len(told) != len(expected):
        return float("inf")
    return max((abs(a - b) / abs(b) if b else float(a != 0) for a, b in zip(told, expected)), key=lambda x: (x != x, x))


def check(program, figures):
    passed = True
    print(f"\nschedules: the largest relative difference of a step's learning rate, allowed {BOUND:.0e}")
    for schedule in SCHEDULES:
        errors = {}
        for warmup in WARMUPS:
            for steps, length in LENGTHS.items():
                optimizer = Optimizer(LR, schedule=schedule, warmup=warmup)
                records = program.step_records([*TRAINING, *length, *optimizer.flags()])
                told = [record.get("lr", float("nan")) for record in records]
                expected = optimizer.learning_rates(steps, STEPS_PER_EPOCH)
                errors[f"{steps} steps, warm-up {warmup}"] = lr_error(told, expected)
        fine = all(error <= BOUND for error in errors.values())
        worst = max(errors, key=lambda name: (errors[name] != errors[name], errors[name]))
        print(f"{schedule:28} {errors[worst]:9.2e} at {worst} {'ok' if fine else 'FAILED'}")
        figures[f"schedule {schedule}"] = errors
        passed &= fine
    return passed
