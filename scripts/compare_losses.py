#!/usr/bin/python3
"""Compares the step losses of two metrics files that bntrain wrote with --metrics FILE --log-every 1.

Exit code 0 where every difference is within the bound, 1 otherwise."""
import argparse
import json
import sys
from pathlib import Path


def step_losses(path):
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return [record["loss"] for record in records if record.get("event") == "step"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path, metavar="FILE")
    parser.add_argument("second", type=Path, metavar="FILE")
    parser.add_argument("--bound", type=float, required=True, metavar="X")
    arguments = parser.parse_args()
    first, second = step_losses(arguments.first), step_losses(arguments.second)
    if not first or len(first) != len(second):
        sys.exit(f"{arguments.first} has {len(first)} step losses and {arguments.second} {len(second)}: they must have "
                 "the same number, and at least one (--log-every 1)")
    differences = [abs(a - b) for a, b in zip(first, second)]
    # A NaN is larger than anything.
    worst = max(range(len(differences)), key=lambda i: (differences[i] != differences[i], differences[i]))
    fine = differences[worst] <= arguments.bound
    print(f"{len(first)} steps, largest difference {differences[worst]:.2e} at step {worst}, allowed "
          f"{arguments.bound:.0e}: {'ok' if fine else 'FAILED'}")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
