#!/usr/bin/env python3
"""Makes the table of tunings that the resident batch norm kernels are compiled with, from the figures of
`bntrain_kernel_bench --tuning all --json FIGURES`.

    scripts/tuning_table.py FIGURES TABLE

A tuning is listed where its time, cold and hot alike, is at least 3% below that of the rule's choice. The entries of the
figures' shapes and card in TABLE are replaced, all others stay."""
import json
import math
import re
import sys
from collections import defaultdict
from datetime import date
from pathlib import Path

LEAST_GAIN = 0.03
HEAD = """// Tunings of the resident batch norm kernels that were measured as faster than those of the rule in resident.cu, by
// scripts/tune_kernels.sh: multiprocessors and compute capability of the card, shape, pass, tuning.
"""


def shape_of(row):
    sizes = [int(size) for size in row["shape"].split("x")]
    spatial = math.prod(sizes[2:])
    layout = row["layout"].replace(" ", "_")
    return f"{{{sizes[0]}, {sizes[1]}, {spatial}, Layout::{layout}}}, NormPass::{row['pass']}"


def tuning_of(contender):
    """ResidentTuning's order: vectors, threads, cluster, columns."""
    cluster, threads, vectors, columns = contender.removeprefix("tuning ").split("x")
    return f"{{{vectors}, {threads}, {cluster}, {columns}}}"


def entries(figures):
    """{key of the card, shape and pass: entry, or None where the rule's choice stays}."""
    times = defaultdict(lambda: defaultdict(dict))  # of a shape and pass, a contender, a cache: microseconds
    for row in figures["rows"]:
        if "seconds" in row:
            times[shape_of(row)][row["contender"]][row["cache"]] = 1e6 * row["seconds"]["median"]
    table = {}
    for shape, contenders in times.items():
        rule = contenders.pop("tuning rule", None)
        tunings = {name: of for name, of in contenders.items() if name.startswith("tuning ")}
        if rule is None or not tunings:
            continue
        key = f"{{{figures['multiprocessors']}, {figures['compute_capability']}, {shape}"
        best = min(tunings, key=lambda name: math.prod(tunings[name].values()))
        gained = all(tunings[best][cache] <= (1 - LEAST_GAIN) * rule[cache] for cache in rule)
        us = ", ".join(f"{rule[cache]:.2f} to {tunings[best][cache]:.2f} {cache}" for cache in rule)
        table[key] = (f"{key}, {tuning_of(best)}}},  // us: {us}; {figures['device']}, {date.today()}\n" if gained else None)
    return table


def main():
    if len(sys.argv) != 3:
        raise SystemExit(print(__doc__) if {"-h", "--help"} & set(sys.argv) else __doc__)
    figures, path = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    new = entries(figures)
    before = [line for line in path.read_text().splitlines(keepends=True) if line.startswith("{")] if path.exists() else []
    kept = [line for line in before if re.match(r"(.*NormPass::\w+)", line)[1] not in new]
    path.write_text(HEAD + "".join(sorted(kept + [entry for entry in new.values() if entry])))
    for key, entry in new.items():
        print(entry.rstrip() if entry else f"{key}: the rule's choice stays")


if __name__ == "__main__":
    main()
