#!/usr/bin/python3
"""Lets calls of the C library fail, one at a time, and looks at what bntrain leaves.

usage: faults.py BNTRAIN LIBRARY [--each N | --every] [--calls CALL,...] [--work DIR]

Whatever call fails: no crash, an exit code that is documented, no file that is written by halves, no temporary file, the
earlier good files whole, and after exit code 0 all results. --each N tries N calls of each kind, spread over the run (3);
--every tries all. Prints a table of the calls tried.
"""
import argparse
import collections
import concurrent.futures
import errno
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

CALLS = {"open": [errno.EACCES, errno.EMFILE], "openat": [errno.EACCES], "fopen": [errno.EACCES, errno.EMFILE],
         "write": [errno.ENOSPC, errno.EIO], "fflush": [errno.ENOSPC], "read": [errno.EIO], "fsync": [errno.EIO, errno.ENOSPC],
         "rename": [errno.ENOSPC, errno.EBUSY], "ftruncate": [errno.EIO], "mkdir": [errno.ENOSPC], "close": [errno.EIO],
         "mmap": [errno.ENOMEM], "pthread_create": [errno.EAGAIN], "malloc": [errno.ENOMEM]}
LASTING = {errno.ENOSPC, errno.EMFILE}  # the later calls fail too
DATA = ["--data", "synthetic:shape=1x8x8,train=64,test=32"]
RUN = DATA + ["--network", "fc4,bn,relu,fc10", "--batch-size", "32", "--threads", "2", "--device", "cpu"]
SCENARIOS = {
    "train": RUN + ["--epochs", "2", "--out", "run", "--save", "m.safetensors", "--metrics", "m.jsonl", "--valid", "0.2"],
    "resume": ["--resume", "old", "--epochs", "3", "--save", "m.safetensors"],
    "eval": ["eval", "good.safetensors", "--threads", "2", "--device", "cpu", "--csv", "m.csv", "--bn-stats", "recomputed",
             "--save-recomputed", "m.safetensors"] + DATA,
    "export": ["export", "good.safetensors", "-o", "m.safetensors"],
    "report": ["report", "old", "-o", "page.html"],
}
RESULTS = {"train": ["run/last.safetensors", "run/config.toml", "m.safetensors", "m.jsonl"],
           "resume": ["old/last.safetensors", "m.safetensors"], "eval": ["m.csv", "m.safetensors"], "export": ["m.safetensors"],
           "report": ["page.html"]}
# What is printed when training is over, and the steps of the model then.
ENDS = {"train": ("Epoch 1.", 4), "resume": ("Epoch 2.", 6)}


def run(program, arguments, folder, environment=None):
    return subprocess.run([program] + arguments, cwd=folder, env=(environment or os.environ) | {"TMPDIR": str(folder / "tmp")},
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=120)


def steps_of(path):
    """The steps of the model in a safetensors file; None where the file has not all the bytes that its header tells of."""
    data = path.read_bytes()
    if len(data) < 8:
        return None
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    return int(header["__metadata__"]["steps"]) if len(data) == 8 + length + max(ends) else None


def problems(folder, start, scenario, result, program, lasting):
    """What is wrong with what the program left in `folder`, which held what `start` holds."""
    if result.returncode not in (0, 1, 3):
        yield f"exit code {result.returncode}"
    if result.returncode != 0 and not result.stderr:
        yield "no message"
    steps = []
    for path in folder.rglob("*"):
        if path.name.endswith(".tmp"):
            yield f"{path.name} is left over"
        if path.suffix == ".safetensors":
            steps.append(steps_of(path))
            if steps[-1] is None:
                yield f"{path.name} is not whole"
        if path.suffix == ".html" and not path.read_text().endswith("</html>\n"):
            yield f"{path.name} is not whole"
        if path.suffix == ".jsonl" and path.is_file():
            lines = path.read_text().split("\n")
            for line in lines[:-1]:
                json.loads(line)
    if result.returncode == 0:
        for name in RESULTS[scenario]:
            if not (folder / name).is_file() or not (folder / name).stat().st_size:
                yield f"{name} is missing"
            elif (start / name).exists() and (folder / name).read_bytes() == (start / name).read_bytes():
                yield f"{name} is the one of before"
    epoch, last = ENDS.get(scenario, ("no epoch", 0))
    if epoch in result.stdout.decode() and last not in steps and not lasting:
        yield "the trained model is nowhere"
    for name in ("run", "old"):
        if (folder / name / "last.safetensors").exists():
            again = run(program, ["--resume", name, "--epochs", "4"], folder)
            if again.returncode != 0:
                yield f"--resume {name}: {again.stderr.decode().strip()}"


class Faults:
    def __init__(self, program, library, work):
        self.program, self.work = program, work
        self.library = shutil.copy(library, work)  # LD_PRELOAD takes no name with a space
        self.start = work / "start"
        (self.start / "tmp").mkdir(parents=True)
        for seed, name in enumerate(("good", "m")):
            self.made(RUN + ["--epochs", "1", "--seed", f"{seed}", "--save", f"{name}.safetensors"])
        self.made(RUN + ["--epochs", "2", "--out", "old"])

    def made(self, arguments):
        result = run(self.program, arguments, self.start)
        assert result.returncode == 0, result.stderr.decode()

    def tried(self, scenario, call, number, reason):
        """The result and the problems; number 0: no call fails, and the calls are counted."""
        folder = Path(tempfile.mkdtemp(dir=self.work))
        try:
            shutil.copytree(self.start, folder, dirs_exist_ok=True)
            environment = os.environ | {"LD_PRELOAD": str(self.library), "FAULT_CALL": call, "FAULT_AT": str(number),
                                        "FAULT_ERRNO": str(reason), "FAULT_ALWAYS": str(int(reason in LASTING)),
                                        "FAULT_COUNT": str(folder / "count")}
            result = run(self.program, SCENARIOS[scenario], folder, environment)
            if number == 0:
                assert result.returncode == 0, result.stderr.decode()
                return int((folder / "count").read_text())
            return result, list(problems(folder, self.start, scenario, result, self.program, reason in LASTING))
        finally:
            shutil.rmtree(folder)


def chosen(count, each):
    """`each` numbers from 1 to count, evenly spread; 0: all."""
    if each == 0 or count <= each:
        return list(range(1, count + 1))
    return sorted({1 + (count - 1) * i // max(each - 1, 1) for i in range(each)})


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("program", type=Path)
    parser.add_argument("library", type=Path)
    parser.add_argument("--each", type=int, default=3)
    parser.add_argument("--every", action="store_true")
    parser.add_argument("--calls", default=",".join(CALLS))
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    options = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as work, concurrent.futures.ThreadPoolExecutor(2) as pool:
        faults = Faults(options.program.resolve(), options.library.resolve(), Path(work))
        print(f"{'run':8} {'call':15} {'reason':8} {'made':>7} {'tried':>6}  exit codes")
        for scenario in options.scenarios.split(","):
            for call in options.calls.split(","):
                count = faults.tried(scenario, call, 0, 0)
                for reason in CALLS[call]:
                    numbers = chosen(count, 0 if options.every else options.each)
                    results = list(pool.map(lambda number: faults.tried(scenario, call, number, reason), numbers))
                    codes = collections.Counter(result.returncode for result, _ in results)
                    print(f"{scenario:8} {call:15} {errno.errorcode[reason]:8} {count:7} {len(numbers):6}  " +
                          ", ".join(f"{code}: {times}" for code, times in sorted(codes.items())), flush=True)
                    for number, (result, found) in zip(numbers, results):
                        for problem in found:
                            bad += 1
                            print(f"  call {number}: {problem}; stderr: {result.stderr.decode().strip()}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
