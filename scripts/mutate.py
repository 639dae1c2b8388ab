#!/usr/bin/env python3
"""Changes one token of the code at a time and asks whether a test notices: a mutation that none does is a missing test.

Works on a copy of the tree in build/mutate and leaves the tree alone. For each mutation the copy is built (without CUDA:
the kernels run on the host, and a file that only a GPU needs is not changed), one test program after the other, and those
whose bytes differ are run, beginning with the tests in the folder that mirrors the file's, because they are the most likely
to notice. A mutation is noticed if a test fails, or does not end; one that leaves all bytes as they are is equivalent.
Verdicts are appended to the results, a JSON object a line, of which the last counts; a second run goes on after them. Who
knows why a mutation changes nothing appends its line with "equivalent: why". Equal seeds choose equal mutations as long as
the code is the same.

    scripts/mutate.py --count 150
    scripts/mutate.py --count 20 --paths src/optimizers
"""
import argparse
import collections
import fcntl
import hashlib
import itertools
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "mutate"
SOURCE, BUILD = WORK / "source", WORK / "build"
PATHS = ["src/backend", "src/train", "src/optimizers", "kernels"]
INSTRUMENT = "kernels/simt/host/"  # the tests' own
# A test program, and what else it consists of.
LIBRARY = "lib/libbntrain.so"
PROGRAMS = {"bntrain_tests": [LIBRARY], "bntrain_kernel_tests": [], "bntrain_cli_tests": ["bntrain", LIBRARY]}
SHARDS = os.cpu_count() or 1
# Tests of the other backend, which wait for the last round.
FAR = {"src/backend/cpu": "*cuda_on_host*", "src/backend/cuda": "*/cpu_*:Isa/*"}
QUICK = 300  # milliseconds of a test that is tried before others
PATIENCE = 150  # seconds without a test that ends; the longest takes 15
DOES_NOT_COMPILE, EQUIVALENT, NOT_NEAR = "does not compile", "equivalent: the same bytes", "no test near"
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
    parser.add_argument("--most-objects", type=float, default=float("inf"), metavar="N",
                        help="leave out headers on which more objects of the build depend")
    parser.add_argument("--near", type=int, metavar="SECONDS",
                        help="run only the tests near the file, so many seconds of processor time, and leave the rest to --again")
    parser.add_argument("--again", action="store_true", help="try again what no test noticed")
    parser.add_argument("--list", action="store_true", help="build, print the mutations and try none")
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
                found.append({"file": name, "line": number + 1, "kind": kind, "was": line.strip(), "is": changed.strip()})
    return found


def choose(options, compiled):
    """In rounds over the files, each time one of a random kind: a long file and a frequent kind have no more weight."""
    rng = random.Random(options.seed)
    files = []
    for name, objects in sorted(compiled.items()):
        if objects > options.most_objects or not name.startswith(tuple(options.paths)) or name.startswith(INSTRUMENT):
            continue
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


def build(programs=PROGRAMS):
    targets = {p for program in programs for p in [program, *PROGRAMS[program]]}
    return subprocess.run(["ninja", "-C", BUILD, *sorted(targets)], capture_output=True, text=True)


def compiled_files():
    """How many objects depend on each file of the copy."""
    listing = subprocess.run(["ninja", "-C", BUILD, "-t", "deps"], check=True, capture_output=True, text=True).stdout
    objects = collections.Counter(os.path.normpath(BUILD / line.strip()) for line in listing.splitlines() if line.startswith(" "))
    return {name: objects[str(SOURCE / name)] for name in tracked_files() if str(SOURCE / name) in objects}


def digest(program):
    return hashlib.sha256(b"".join((BUILD / p).read_bytes() for p in [program, *PROGRAMS[program]])).hexdigest()


def suites_near(name):
    """Filters of GoogleTest: the suites in the folders of tests/ that mirror the file's, the nearest folder first."""
    mirror = Path(name).parent.relative_to("src" if name.startswith("src/") else ".")
    folders = [ROOT / "tests" / folder for folder in [mirror, *mirror.parents][:-1]]
    folders.insert(1, ROOT / "tests" / mirror.name)  # what kernels and CPU functions have in common
    for folder in dict.fromkeys(folders):
        suites = {suite for path in sorted(folder.glob("*_test.cpp"))
                  for suite in re.findall(r"^(?:TYPED_)?TEST(?:_[FP])?\((\w+),", path.read_text(), re.MULTILINE)}
        if suites:
            yield ":".join(f"*{suite}.*:*{suite}/*" for suite in sorted(suites))


def outputs():
    return [WORK / f"output.{shard}" for shard in range(SHARDS)]


def run_tests(program, tests="*", without="Gpu*", seconds=None):
    """The first test that fails, in shards side by side; None if all pass, or those of the first `seconds` of processor time."""
    def limit():
        if seconds:
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))  # of messages

    scratch = WORK / "scratch"
    scratch.mkdir(exist_ok=True)
    command = [BUILD / program, "--gtest_fail_fast", f"--gtest_filter={tests}-{without}"]
    shards = []
    for shard, output in enumerate(outputs()):
        environment = {**os.environ, "GTEST_TOTAL_SHARDS": str(SHARDS), "GTEST_SHARD_INDEX": str(shard), "TMPDIR": str(scratch)}
        with output.open("w") as file:
            shards.append(subprocess.Popen(command, cwd=BUILD / "tests", env=environment, stdout=file,
                                           stderr=subprocess.STDOUT, preexec_fn=limit))
    waiting, failed = set(range(SHARDS)), None
    while waiting and failed is None:
        time.sleep(0.05)
        for i in sorted(waiting):
            if (code := shards[i].poll()) is not None:
                waiting.remove(i)
                failed = i if code not in (0, -signal.SIGXCPU) else failed
            elif time.time() - outputs()[i].stat().st_mtime > PATIENCE:
                failed = i
    for shard in shards:
        shard.kill()
        shard.wait()
    shutil.rmtree(scratch, ignore_errors=True)
    if failed is None:
        return None
    text = outputs()[failed].read_text(errors="replace")
    if names := re.findall(r"\[  FAILED  \] ([^\s,]+)", text):
        return names[0]
    last = re.findall(r"\[ RUN      \] (\S+)", text)[-1:] or [program]
    return last[0] + (" does not end" if failed in waiting else f" ends with {shards[failed].returncode}")


def prepare():
    """Builds the copy, with ccache where it is, because every mutation is taken back again."""
    copy_tree()
    launcher = ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
    configured = subprocess.run(["cmake", "-S", SOURCE, "-B", BUILD, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DBNTRAIN_TESTS=ON",
                                 "-DBNTRAIN_UNITY=OFF", "-DBNTRAIN_CUDA=OFF", *launcher], capture_output=True, text=True)
    built = build() if configured.returncode == 0 else configured
    if built.returncode:
        sys.exit(f"mutate: the copy in {WORK} does not build:\n{built.stdout[-3000:]}{built.stderr[-3000:]}")


def run_unchanged():
    """Of each program the digest and the tests that take long, after a run of all, unless these bytes have passed before."""
    record = WORK / "passed.json"
    passed = json.loads(record.read_text()) if record.exists() else {}
    for program in PROGRAMS:
        if passed.get(program, {}).get("digest") != digest(program):
            if failure := run_tests(program):
                sys.exit(f"mutate: without any mutation {program} fails: {failure}")
            times = re.findall(r"\[       OK \] (\S+) \((\d+) ms\)", "".join(o.read_text(errors="replace") for o in outputs()))
            passed[program] = {"digest": digest(program), "slow": [test for test, time in times if int(time) > QUICK]}
            record.write_text(json.dumps(passed))
    return passed


def noticed_before(name, results):
    """The tests that noticed mutations in the folder."""
    tests = [r["noticed_by"] for r in results if Path(r["file"]).parent == Path(name).parent and "." in str(r["noticed_by"])
             and not r["noticed_by"].startswith("equivalent")]
    return ":".join(dict.fromkeys(test.split(" ")[0] for test in tests))


def attempt(mutation, passed, results, seconds):
    """The verdict; None if no test notices."""
    path = SOURCE / mutation["file"]
    original = path.read_text()
    lines = original.splitlines(keepends=True)
    places = [i for i, line in enumerate(lines) if line.strip() == mutation["was"]]
    if not places:
        return DOES_NOT_COMPILE
    place = min(places, key=lambda i: abs(i + 1 - mutation["line"]))  # code above it may have changed
    lines[place] = lines[place].replace(mutation["was"], mutation["is"])
    program = "bntrain_kernel_tests" if mutation["file"].startswith("kernels/") else "bntrain_tests"
    far = next((tests for folder, tests in FAR.items() if mutation["file"].startswith(folder)), "Gpu*")
    near, before = list(suites_near(mutation["file"])), noticed_before(mutation["file"], results)
    quick = ":".join(["Gpu*", far, *passed[program]["slow"]])
    rounds = [(program, before, "Gpu*")] if before else []
    rounds += [(program, ":".join(near), quick), *((program, tests, f"Gpu*:{far}") for tests in near)]
    if not seconds:
        rounds += [(program, "*", "Gpu*"), *((other, "*", "Gpu*") for other in PROGRAMS if other != program)]
    differs = False
    try:
        path.write_text("".join(lines))
        for program, tests, without in rounds:
            if build([program]).returncode:
                return DOES_NOT_COMPILE
            if digest(program) != passed[program]["digest"]:
                differs = True
                if failure := run_tests(program, tests, without, seconds):
                    return failure
        return NOT_NEAR if seconds else None if differs else EQUIVALENT
    finally:
        path.write_text(original)


def key(mutation):
    return mutation["file"], mutation["was"], mutation["is"]


def summary(results):
    tried = [r for r in results if r["noticed_by"] != DOES_NOT_COMPILE]
    missed = [r for r in tried if r["noticed_by"] in (None, NOT_NEAR)]
    equivalent = sum(str(r["noticed_by"]).startswith("equivalent") for r in tried)
    print(f"{len(tried)} mutations, {len(tried) - len(missed) - equivalent} noticed, {equivalent} equivalent, {len(missed)} not noticed; "
          f"{len(results) - len(tried)} more do not compile")
    for r in missed:
        print(f"{r['file']}:{r['line']}: {r['kind']}\n  - {r['was']}\n  + {r['is']}")


def main():
    options = arguments()
    begin = time.monotonic()
    WORK.mkdir(parents=True, exist_ok=True)
    lock = (WORK / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"mutate: another run is at work in {WORK}")
    prepare()
    chosen = choose(options, compiled_files())
    if options.list:
        for m in itertools.islice(chosen, options.count):
            print(f"{m['file']}:{m['line']}: {m['kind']}\n  - {m['was']}\n  + {m['is']}")
        return
    passed = run_unchanged()
    lines = options.results.read_text().splitlines() if options.results.exists() else []
    results = {key(r): r for r in map(json.loads, lines)}
    if options.again:
        chosen = [results.pop(key(r)) for r in list(results.values()) if r["noticed_by"] in (None, NOT_NEAR)]
    for mutation in chosen:
        tried = sum(r["noticed_by"] != DOES_NOT_COMPILE for r in results.values())
        if tried >= options.count or time.monotonic() - begin > options.seconds:
            break
        if key(mutation) in results:
            continue
        verdict = attempt(mutation, passed, results.values(), options.near)
        results[key(mutation)] = {**mutation, "noticed_by": verdict}
        with options.results.open("a") as file:
            file.write(json.dumps(results[key(mutation)]) + "\n")
        print(f"{tried + 1}/{options.count} {mutation['file']}:{mutation['line']} {mutation['kind']}: {verdict or 'NOT NOTICED'}", flush=True)
    summary(results.values())


if __name__ == "__main__":
    main()
