#!/usr/bin/env python3
"""Changes one token of the code at a time and asks whether a test notices: a mutation that none does is a missing test.

Works on a copy of the tree in build/mutate and leaves the tree alone. For each mutation the copy is built (without CUDA:
the kernels run on the host), and the test programs that were linked anew are run, the tests in the folder that mirrors the
file's first, because they are the most likely to notice. A mutation is noticed if a test fails
or takes several times as long as without it. Verdicts are appended to the results, a JSON object a line; a second run goes
on after the last. Equal seeds choose equal mutations as long as the code is the same.

    scripts/mutate.py --count 150
    scripts/mutate.py --count 20 --paths src/optimizers
"""
import argparse
import itertools
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "mutate"
SOURCE, BUILD = WORK / "source", WORK / "build"
PATHS = ["src/backend", "src/train", "src/optimizers", "kernels"]
# Needs a GPU, or is the test's own instrument.
LEFT_OUT = re.compile(r"_cuda\.(cpp|hpp|cu)$|^kernels/simt/host/|device_code\.cu$|nvtx|^src/backend/cuda/(device|graph)")
# A test program, and the program that it runs.
PROGRAMS = {"bntrain_tests": [], "bntrain_kernel_tests": [], "bntrain_cli_tests": ["bntrain"]}
SHARDS = os.cpu_count() or 1
MEMORY = 8 << 30  # bytes that a test program may write to; the kernels' executor reserves more than it uses

# kind, what is matched, what replaces it
OPERATORS = [
    ("sign", r" \+ ", " - "),
    ("sign", r" - ", " + "),
    ("sign", r" \+= ", " -= "),
    ("sign", r"(?<=[(,=] )-(?=[a-z])|(?<=[(])-(?=[a-z])|(?<=return )-(?=[a-z])", ""),
    ("factor", r" \* ", " / "),
    ("divisor", r" / ", " * "),
    ("comparison", r" < ", " <= "),
    ("comparison", r" > ", " >= "),
    ("comparison", r" <= ", " < "),
    ("comparison", r" >= ", " > "),
    ("comparison", r" == ", " != "),
    ("comparison", r" != ", " == "),
    ("logic", r" && ", " || "),
    ("logic", r" \|\| ", " && "),
    ("epsilon", r" \+ (?:[a-z_.>-]*\.|[a-z_]*->)?eps\w*\b", ""),
    ("constant", r"(?<![\w.])([1-9]\d?)(?![\w.'])", lambda m: str(int(m.group(1)) + 1)),
    ("extremum", r"\bstd::min\b", "std::max"),
    ("extremum", r"\bstd::max\b", "std::min"),
    ("fence", r"^\s*[\w.:>-]*(?:sync|barrier|fence|arrive|wait)\w*\([^;{}]*\);$", ";"),
]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=150, help="mutations to try, those already tried included")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--paths", nargs="+", default=PATHS, metavar="PATH", help="folders or files to change")
    parser.add_argument("--results", type=Path, default=WORK / "results.jsonl")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no mutation after so many seconds")
    parser.add_argument("--list", action="store_true", help="print the mutations and try none")
    return parser.parse_args()


def tracked_files():
    listing = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], check=True, capture_output=True, text=True).stdout
    return [name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def code_of(line):
    """The part of a line that is code, with strings blanked; empty for a comment, an include or a static_assert."""
    if re.match(r"\s*(//|/?\*|#|static_assert|template|using |namespace)", line):
        return ""
    line = re.sub(r'"(?:\\.|[^"\\])*"', lambda m: '"' + "_" * (len(m.group()) - 2) + '"', line)
    return line.split("//")[0]


def mutations_of(name):
    found = []
    for number, line in enumerate((ROOT / name).read_text().splitlines()):
        code = code_of(line)
        for kind, pattern, replacement in OPERATORS:
            for match in re.finditer(pattern, code):
                new = replacement(match) if callable(replacement) else replacement
                changed = line[: match.start()] + new + line[match.end():]
                found.append({"file": name, "line": number + 1, "kind": kind, "was": line.strip(), "is": changed.strip(),
                              "text": changed})
    return found


def choose(options):
    """In rounds over the files, each time one of a random kind: a long file and a frequent kind have no more weight."""
    rng = random.Random(options.seed)
    names = [n for n in tracked_files() if n.startswith(tuple(options.paths)) and n.endswith((".cpp", ".hpp", ".cu", ".cuh"))
             and not LEFT_OUT.search(n)]
    files = []
    for name in names:
        kinds = {}
        for mutation in mutations_of(name):
            kinds.setdefault(mutation["kind"], []).append(mutation)
        files.append(kinds)
    while files := [kinds for kinds in files if kinds]:
        rng.shuffle(files)
        for kinds in files:
            kind = rng.choice(sorted(kinds))
            yield kinds[kind].pop(rng.randrange(len(kinds[kind])))
            if not kinds[kind]:
                del kinds[kind]


def copy_tree():
    for name in tracked_files():
        source, target = ROOT / name, SOURCE / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_bytes() != source.read_bytes():
            shutil.copy(source, target)


def build():
    targets = sorted({p for program, others in PROGRAMS.items() for p in [program, *others]})
    return subprocess.run(["ninja", "-C", BUILD, *targets], capture_output=True, text=True)


def stamps():
    return {p.name: p.stat().st_mtime_ns for p in BUILD.iterdir() if p.is_file()}


def tests_near(name):
    """A filter of GoogleTest: the suites in the folder of tests/ that mirrors the file's."""
    folder = ROOT / "tests" / Path(name).parent.relative_to("src" if name.startswith("src/") else ".")
    while not any(folder.glob("*_test.cpp")):
        folder = folder.parent
    suites = {suite for path in sorted(folder.glob("*_test.cpp"))
              for suite in re.findall(r"^(?:TYPED_)?TEST(?:_[FP])?\((\w+),", path.read_text(), re.MULTILINE)}
    return ":".join(f"*{suite}.*:*{suite}/*" for suite in sorted(suites))


def run_tests(program, cpu_seconds, tests="*"):
    """The first test that fails, in shards side by side; None if all pass. Processor time is limited, so that another load
    on the machine changes no verdict; the limit of real time is for a mutation that waits for ever."""
    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    scratch = WORK / "scratch"
    scratch.mkdir(exist_ok=True)
    command = [BUILD / program, "--gtest_fail_fast", "--gtest_brief=1", f"--gtest_filter={tests}-Gpu*"]
    shards, outputs = [], []
    for shard in range(SHARDS):
        environment = {**os.environ, "GTEST_TOTAL_SHARDS": str(SHARDS), "GTEST_SHARD_INDEX": str(shard), "TMPDIR": str(scratch)}
        outputs.append((WORK / f"output.{shard}").open("w+", errors="replace"))
        shards.append(subprocess.Popen(command, cwd=BUILD / "tests", env=environment, stdout=outputs[-1],
                                       stderr=subprocess.STDOUT, preexec_fn=limit))
    failed, end = None, time.monotonic() + 20 * cpu_seconds
    while failed is None and any(shard.poll() is None for shard in shards):
        failed = next((i for i, shard in enumerate(shards) if shard.poll()), None)
        if time.monotonic() > end:
            failed = SHARDS
        time.sleep(0.05)
    if failed is None:
        failed = next((i for i, shard in enumerate(shards) if shard.returncode), None)
    for shard in shards:
        shard.kill()
        shard.wait()
    shutil.rmtree(scratch, ignore_errors=True)
    texts = []
    for output in outputs:
        output.seek(0)
        texts.append(output.read())
        output.close()
    if failed is None:
        return None
    if failed == SHARDS:
        return f"{program} does not end"
    names = re.findall(r"\[  FAILED  \] (\S+)", texts[failed])
    return names[0].rstrip(",") if names else f"{program} ended with {shards[failed].returncode}"


def prepare():
    copy_tree()
    configured = subprocess.run(["cmake", "-S", SOURCE, "-B", BUILD, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DBNTRAIN_TESTS=ON",
                                 "-DBNTRAIN_UNITY=OFF", "-DBNTRAIN_CUDA=OFF"], capture_output=True, text=True)
    built = build() if configured.returncode == 0 else configured
    if built.returncode:
        sys.exit(f"mutate: the copy in {WORK} does not build:\n{built.stdout[-3000:]}{built.stderr[-3000:]}")
    limits = {}
    for program in PROGRAMS:
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        if failure := run_tests(program, 3600):
            sys.exit(f"mutate: without any mutation {program} fails: {failure}")
        limits[program] = int(4 * (resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before)) + 20
    return limits


def attempt(mutation, limits):
    path = SOURCE / mutation["file"]
    original = path.read_text()
    lines = original.splitlines(keepends=True)
    lines[mutation["line"] - 1] = mutation["text"] + "\n"
    before = stamps()
    try:
        path.write_text("".join(lines))
        if build().returncode:
            return "does not compile"
        after = stamps()
        linked = [program for program, others in PROGRAMS.items() if any(after[p] != before[p] for p in [program, *others])]
        for tests in (tests_near(mutation["file"]), "*"):
            for program in linked:
                if failure := run_tests(program, limits[program], tests):
                    return failure
        return None
    finally:
        path.write_text(original)


def summary(results):
    tried = [r for r in results if r["noticed_by"] != "does not compile"]
    missed = [r for r in tried if r["noticed_by"] is None]
    print(f"{len(tried)} mutations, {len(tried) - len(missed)} noticed, {len(missed)} not; {len(results) - len(tried)} more do not compile")
    for r in missed:
        print(f"{r['file']}:{r['line']}: {r['kind']}\n  - {r['was']}\n  + {r['is']}")


def main():
    options = arguments()
    if options.list:
        for m in itertools.islice(choose(options), options.count):
            print(f"{m['file']}:{m['line']}: {m['kind']}\n  - {m['was']}\n  + {m['is']}")
        return
    begin = time.monotonic()
    WORK.mkdir(parents=True, exist_ok=True)
    results = [json.loads(line) for line in options.results.read_text().splitlines()] if options.results.exists() else []
    known = {(r["file"], r["was"], r["is"]) for r in results}
    compiled = sum(r["noticed_by"] != "does not compile" for r in results)
    limits = prepare()
    for mutation in choose(options):
        if compiled >= options.count or time.monotonic() - begin > options.seconds:
            break
        if (mutation["file"], mutation["was"], mutation["is"]) in known:
            continue
        mutation["noticed_by"] = attempt(mutation, limits)
        del mutation["text"]
        compiled += mutation["noticed_by"] != "does not compile"
        results.append(mutation)
        with options.results.open("a") as file:
            file.write(json.dumps(mutation) + "\n")
        print(f"{compiled}/{options.count} {mutation['file']}:{mutation['line']} {mutation['kind']}: "
              f"{mutation['noticed_by'] or 'NOT NOTICED'}", flush=True)
    summary(results)


if __name__ == "__main__":
    main()
