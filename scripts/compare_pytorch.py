#!/usr/bin/python3
"""Compares bntrain with PyTorch on Fashion-MNIST.

  step       one step from the same state, at states of a float64 run of PyTorch; three of an optimizer that remembers
  free       50 free steps at lr 0.002, losses against float64
  drift      50 free steps at lr 0.2 beside PyTorch's own float32: shown, not judged
  planted    errors planted in the reference must be noticed by `step` or `free`
  schedules  the learning rate of every step under every kind of schedule
  speed      training images per second of both, once both have reached the same loss; with --device cuda the training
             time beside PyTorch's eager mode, torch.compile and CUDA graphs, in float32 and TF32
  steps      milliseconds of a training step of any networks on the CPU, beside PyTorch in float32 and bfloat16

PyTorch's side of the other checks runs in float64 on the CPU. Exit code 0 when every check passed, 1 otherwise. Needs
Debian's python3-torch and python3-numpy, or any newer ones; `speed` on a GPU one that was built for it.
"""
import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

try:
    import torch
except ImportError:
    if __name__ == "__main__":  # its help needs nothing
        helps = {"-h", "--help"} & set(sys.argv)
        sys.exit(print("usage: flags are listed where there is PyTorch\n", __doc__, sep="\n") if helps else "error: this needs PyTorch: apt-get install python3-torch python3-numpy")
    raise

from pytorch_parity import cuda_speed, free_check, schedule_check, speed, step_check, step_speed
from pytorch_parity.files import read_dataset
from pytorch_parity.network import CORRECT, PLANTED, REFERENCE, WITHOUT_NORM, Setting
from pytorch_parity.optimizers import Optimizer
from pytorch_parity.program import Program

ROOT = Path(__file__).resolve().parent.parent
CHECKS = ["step", "free", "drift", "planted", "schedules", "speed", "steps"]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", nargs="+", choices=CHECKS, default=CHECKS[:4], metavar="CHECK",
                        help="default: step free drift planted")
    parser.add_argument("--bntrain", type=Path, default=ROOT / "build/release/bntrain", metavar="PROGRAM")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="what bntrain runs on (default cpu)")
    parser.add_argument("--flags", default="", help="added to every call of bntrain, e.g. '--cpu-isa v3'")
    parser.add_argument("--data", type=Path, default="/usr/share/datasets/fashion-mnist", metavar="DIR")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    step = parser.add_argument_group("step")
    step.add_argument("--states", type=int, default=50, metavar="N")
    step.add_argument("--every", type=int, default=5, metavar="N", help="steps from state to state (default 5)")
    step.add_argument("--init", choices=["tutorial", "torch"], default="tutorial")
    training = parser.add_argument_group("step, free, drift: bntrain's flags, and the texts of one or more networks")
    training.add_argument("--network", nargs="+", type=Setting.of, default=[REFERENCE, WITHOUT_NORM], metavar="TEXT",
                          help="default: the tutorial's, with batch norms and without; `free` takes the first")
    Optimizer.add_arguments(training)
    speed.add_arguments(parser.add_argument_group("speed"))
    step_speed.add_arguments(parser.add_argument_group("steps"))
    return parser.parse_args()


def verdict(passed):
    return "ok" if passed else "FAILED"


def check_steps(program, data, arguments, figures, planted):
    """One table for each network, over all states of all seeds. Also what the planted errors' measures are."""
    passed, noticed = True, {}
    optimizer = Optimizer.of(arguments, step_check.LR)
    for setting in arguments.network:
        tables = {}
        for seed in arguments.seeds:
            errors = planted if setting == arguments.network[0] and seed == arguments.seeds[0] else ()
            measured = step_check.run(program, *data[:2], setting, optimizer, arguments.init, seed, arguments.states,
                                      arguments.every, errors)
            tables[seed] = measured.pop(CORRECT.name)
            noticed |= {name: measures.failures() for name, measures in measured.items()}
        print(f"\nstep, {setting.name}, init {arguments.init}, {' '.join(map(str, optimizer.flags()))}, "
              f"{arguments.states} states, one in {arguments.every} steps")
        print(f"{'seed':>4} {'quantity':34} {'median':>9} {'allowed':>9} {'maximum':>9} {'allowed':>9} {'at':>4}")
        for seed, measures in tables.items():
            for quantity, median, median_bound, largest, bound, worst, fine in measures.rows():
                print(f"{seed:4} {quantity:34} {median:9.2e} {median_bound:9.2e} {largest:9.2e} {bound:9.2e} "
                      f"{worst:4} {verdict(fine)}")
                passed &= fine
            figures[f"step {setting.name} seed {seed}"] = dict(measures.errors)
    return passed, noticed


def check_free(runs, figures):
    run = next(iter(runs.values()))
    print(f"\nfree, {run.setting.name}, init torch, {' '.join(map(str, run.optimizer.flags()))}, {free_check.STEPS} "
          "steps: largest difference of a step's loss")
    passed = True
    for seed, run in runs.items():
        error = run.error()
        fine = error <= free_check.LOSS_BOUND
        print(f"seed {seed}: {error:.2e}, allowed {free_check.LOSS_BOUND:.0e} {verdict(fine)}")
        figures[f"free seed {seed}"] = error
        passed &= fine
    return passed


def check_planted(noticed, run, figures):
    """Each must be noticed by `step`, else by `free`; the first also by `free`, to show that it can."""
    print("\nplanted in the reference")
    passed = True
    for error in PLANTED:
        failures = [f"{row[0]} ({row[3]:.1e})" for row in noticed[error.name]]
        fine, by = bool(failures), f"step: {len(failures)} quantities, such as {', '.join(failures[:2])}"
        figures[f"planted {error.name}"] = {"step": failures}
        if error == PLANTED[0] or not failures:
            free = run.error(error)
            fine = not free <= free_check.LOSS_BOUND
            by += f"; free: {free:.1e}"
            figures[f"planted {error.name}"]["free"] = free
        print(f"{error.name:33} {'noticed' if fine else 'NOT NOTICED'} by {by}")
        passed &= fine
    return passed


def show_drift(program, data, arguments, figures):
    optimizer = replace(Optimizer.of(arguments, 0), lr=free_check.DRIFT_LR)
    print(f"\ndrift, init torch, lr {free_check.DRIFT_LR}: loss of float64, relative distance of bntrain and of "
          "PyTorch's float32 (not judged)")
    print(f"{'':28} {'step':>4} {'loss':>9} {'bntrain':>9} {'float32':>9}")
    for setting in arguments.network:
        for seed in arguments.seeds:
            exact, ours, single = free_check.FreeRun(program, *data[:2], setting, seed, optimizer).drift()
            for step in (0, 9, 19, 29, 39, 49):
                print(f"{setting.name:21} seed {seed} {step + 1:4} {exact[step]:9.6f} {ours[step]:9.1e} "
                      f"{single[step]:9.1e}")
            figures[f"drift {setting.name} seed {seed}"] = {
                "float64": exact.tolist(), "bntrain": ours.tolist(), "float32": single.tolist()}


def main():
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    data = read_dataset(arguments.data)
    program = Program(arguments.bntrain.resolve(), (data[2][:16], data[3][:16]),
                      ["--device", arguments.device, *arguments.flags.split()])
    checks, figures, passed = arguments.check, {}, True
    noticed = {}
    if "step" in checks or "planted" in checks:
        fine, noticed = check_steps(program, data, arguments, figures, PLANTED if "planted" in checks else ())
        passed &= fine
    if "free" in checks or "planted" in checks:
        optimizer = Optimizer.of(arguments, free_check.LR)
        runs = {seed: free_check.FreeRun(program, *data[:2], arguments.network[0], seed, optimizer)
                for seed in arguments.seeds}
        passed &= check_free(runs, figures)
        if "planted" in checks:
            passed &= check_planted(noticed, runs[arguments.seeds[0]], figures)
    if "schedules" in checks:
        passed &= schedule_check.check(program, figures)
    if "drift" in checks:
        show_drift(program, data, arguments, figures)
    if "speed" in checks:
        passed &= (cuda_speed if arguments.device == "cuda" else speed).check(program, arguments, figures)
    if "steps" in checks:
        passed &= step_speed.check(program, arguments, figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    print(f"\n{'all checks passed' if passed else 'A CHECK FAILED'}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
