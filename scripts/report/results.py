"""Reads what `bntrain bench` wrote: results.json, checked against its schema, and the metrics files of the runs."""
import json
import re
from dataclasses import dataclass

SCHEMA, VERSION = "bntrain-bench", 1
NUMBER = (int, float)
COUNT = int
NAME = "[a-z0-9_-]+"  # of a norm or an init; figures' files are named after it
OUTCOMES = ("trained", "below_target", "chance", "diverged")


class BadFile(Exception):
    """A file that is missing or not what it should be; the message is for the user."""


@dataclass(frozen=True)
class Maybe:
    """null, or of this shape."""
    shape: object


STAT = Maybe({"n": COUNT, "mean": Maybe(NUMBER), "sd": Maybe(NUMBER), "min": Maybe(NUMBER), "max": Maybe(NUMBER)})
EPOCH = {"epoch": COUNT, "train_loss": Maybe(NUMBER), "test_accuracy": Maybe(NUMBER)}
RUN = {"seed": COUNT, "outcome": str, "divergence": Maybe({"epoch": COUNT, "step": COUNT, "layer": str}),
       "best_test_accuracy": Maybe(NUMBER), "steps_to_target": Maybe(COUNT), "epochs": [EPOCH],
       "evaluations": [{"step": COUNT, "test_accuracy": Maybe(NUMBER)}]}
SUMMARY = {**{outcome: COUNT for outcome in OUTCOMES}, "best_test_accuracy": STAT, "steps_to_target": STAT,
           "epochs": [{"epoch": COUNT, "test_accuracy": STAT, "train_loss": STAT}]}
RESULTS = {"bntrain": str, "config": {"norm": [str], "init": [str], "lr": [NUMBER], "seeds": [COUNT], "epochs": COUNT},
           "environment": {}, "dataset": {"name": str, "classes": COUNT, "train": COUNT, "test": COUNT},
           "steps_per_epoch": COUNT, "target": NUMBER, "chance": NUMBER,
           "arms": [{"norm": str, "init": str, "lr": NUMBER, "network": str, "runs": [RUN], "summary": SUMMARY}],
           "largest_lr": [{"norm": str, "init": str, "lr": Maybe(NUMBER)}],
           "differences": [{"init": str, "lr": NUMBER, "epoch": COUNT, "test_accuracy": STAT}]}

PERCENTILES = {percentile: Maybe(NUMBER) for percentile in ("5", "15", "50", "85", "95")}
CHANNEL = {key: Maybe(NUMBER) for key in ("batch_mean", "batch_var", "running_mean", "running_var", "gamma", "beta")}
RECORDS = {"bn": {"step": COUNT, "layer": str, "input_percentiles": PERCENTILES, "channels": [CHANNEL],
                  "gradient_norm_output": Maybe(NUMBER), "gradient_norm_input": Maybe(NUMBER)},
           "activation": {"step": COUNT, "layer": str, "unit": COUNT, "percentiles": PERCENTILES,
                          "all_percentiles": PERCENTILES}}
START = {"seed": COUNT, "config": {"norm": str, "init": str, "lr": NUMBER}, "steps_per_epoch": COUNT}


def describe(shape):
    if isinstance(shape, dict):
        return "an object"
    if isinstance(shape, list):
        return "a list"
    return {NUMBER: "a number", COUNT: "a whole number", str: "a text"}[shape]


def check(value, shape, file, place=""):
    """Raises BadFile, naming the place, where `value` is not of the shape; keys that no shape names are left alone."""
    if isinstance(shape, Maybe):
        if value is None:
            return
        shape = shape.shape
    kind = {dict: dict, list: list}.get(type(shape), shape)
    here = f"{file}: {place}" if place else f"{file}"
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BadFile(f"{here} is {json.dumps(value)[:40]}, and must be {describe(shape)}")
    if isinstance(shape, dict):
        for key, inner in shape.items():
            if key not in value:
                raise BadFile(f'{here} has no "{key}"')
            check(value[key], inner, file, f"{place}.{key}" if place else key)
    elif isinstance(shape, list):
        for index, entry in enumerate(value):
            check(entry, shape[0], file, f"{place}[{index}]")


def no_constant(name):
    raise ValueError(f"{name} is no JSON")


def parse(text, path, line=None):
    """`line`: the file's line that the text is, or None where it is the whole file."""
    here = path if line is None else f"{path}, line {line}"
    try:
        return json.loads(text, parse_constant=no_constant)
    except json.JSONDecodeError as error:
        raise BadFile(f"{path}, line {line or error.lineno}, column {error.colno}: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise BadFile(f"{here}: {error}") from None


def read_text(path):
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadFile(f"{path} does not exist; it is written by: bntrain bench --out {path.parent}") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"no UTF-8 at byte {error.start}"
        raise BadFile(f"{path}: {reason}") from None


def read_results(folder):
    path = folder / "results.json"
    results = parse(read_text(path), path)
    schema = results.get("schema") if isinstance(results, dict) else None
    if schema != SCHEMA:
        raise BadFile(f'{path}: its "schema" is not "{SCHEMA}", so no bntrain bench wrote it')
    if results.get("schema_version") != VERSION:
        raise BadFile(f"{path}: its schema_version is {json.dumps(results.get('schema_version'))}, and this report reads "
                      f"{VERSION}; use the report of the bntrain that wrote it")
    check(results, RESULTS, path)
    for index, arm in enumerate(results["arms"]):
        for key in ("norm", "init"):
            if not re.fullmatch(NAME, arm[key]):
                raise BadFile(f"{path}: arms[{index}].{key} is {json.dumps(arm[key])}, and must be a word of a-z, 0-9, _ and -")
        if not arm["lr"] > 0:
            raise BadFile(f"{path}: arms[{index}].lr is {arm['lr']}, and must be above 0")
        for run in arm["runs"]:
            if run["outcome"] not in OUTCOMES:
                raise BadFile(f"{path}: arms[{index}] has the outcome {json.dumps(run['outcome'])}, and may have "
                              f"{', '.join(OUTCOMES)}")
    if not any(arm["runs"] for arm in results["arms"]):
        raise BadFile(f"{path}: holds no run")
    return results


def read_lines(path):
    """(place for messages, object) of each line of a metrics file."""
    for number, line in enumerate(read_text(path).removesuffix("\n").split("\n"), 1):
        where = f"{path}, line {number}"
        record = parse(line, path, number)
        if not isinstance(record, dict):
            raise BadFile(f"{where}: not an object")
        yield where, record


def runs_by_arm(folder):
    """(norm, init, lr, seed) -> metrics file, told by each file's first line."""
    files = {}
    for path in sorted((folder / "runs").glob("*.jsonl")):
        where, start = next(read_lines(path), (f"{path}, line 1", {}))
        check(start, START, where)
        config = start["config"]
        files[config["norm"], config["init"], config["lr"], start["seed"]] = path
    return files


def read_records(path):
    """What a run recorded inside: {"bn": {layer: [record]}, "activation": {layer: [record]}}, in order of steps."""
    found = {event: {} for event in RECORDS}
    for where, record in read_lines(path):
        event = record.get("event")
        if event in RECORDS:
            check(record, RECORDS[event], where)
            found[event].setdefault(record["layer"], []).append(record)
    return found
