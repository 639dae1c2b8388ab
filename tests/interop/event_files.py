"""The event files of bntrain train --tensorboard, judged by TensorBoard's own reader beside the run's other records; also
those of a run that is killed again and again.

Goes on in build/python, which scripts/setup.sh --tests makes; exits with 77 where that is missing, or where bntrain was built
without protobuf."""
import argparse
import base64
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

root = Path(__file__).resolve().parents[2]
environment = root / "build" / "python"
if not (environment / "installed.txt").exists():
    print("skipped: scripts/setup.sh --tests makes build/python, which has TensorBoard's reader")
    sys.exit(77)
if Path(sys.prefix) != environment:
    python = str(environment / "bin" / "python")  # Python finds its environment by its own name
    os.execv(python, [python, *sys.argv])

import numpy as np  # noqa: E402
from tensorboard.backend.event_processing import event_accumulator, plugin_event_accumulator  # noqa: E402

RUN = ["train", "--data", "synthetic:shape=1x8x8,train=200,test=70,noise=0.9", "--network", "conv4x3,bn,relu,maxpool2,fc10",
       "--batch-size", "32", "--epochs", "4", "--lr", "0.05", "--init", "torch", "--momentum", "0.9", "--valid", "0.2",
       "--log-every", "1", "--eval-every", "3", "--save-every", "2", "--record", "bn,activations", "--device", "cpu", "--quiet"]
FLOAT32 = 2 * np.finfo(np.float32).eps
ALL = dict.fromkeys(["scalars", "histograms", "images", "tensors", "compressedHistograms"], 0)


def expect(condition, *what):
    if not condition:
        raise SystemExit(" ".join(map(str, what)))


def read(folder):
    """What TensorBoard knows of a run: tag -> [(step, value)]."""
    events = event_accumulator.EventAccumulator(str(folder), size_guidance=ALL)
    events.Reload()
    tags = events.Tags()
    known = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags["scalars"]}
    for tag in tags["histograms"]:
        known[tag] = [(e.step, e.histogram_value) for e in events.Histograms(tag)]
    known |= {tag: [(e.step, e.encoded_image_string) for e in events.Images(tag)] for tag in tags["images"]}
    for tag in tags["tensors"]:
        expect(events.SummaryMetadata(tag).plugin_data.plugin_name == "text", tag, "is no text")
        known[tag] = [(e.step, e.tensor_proto.string_val[0].decode()) for e in events.Tensors(tag)]
    # The one that its server uses. The other, which scripts use, does not make texts void.
    server = plugin_event_accumulator.EventAccumulator(str(folder), tensor_size_guidance={"scalars": 0, "images": 0})
    server.Reload()
    for tag in known:
        steps = [event.step for event in server.Tensors(tag)]
        expect(steps == sorted(set(steps)), tag, "has steps twice or out of order:", steps)
        expect(tag in tags["tensors"] or steps == [step for step, _ in known[tag]], tag, "has other steps for the server")
        known[tag] = list(dict(known[tag]).items())
    return known


def expect_whole(folder):
    """Every file ends with a whole record."""
    for path in folder.glob("events.out.tfevents.*"):
        data, at = path.read_bytes(), 0
        while at < len(data):
            at += 16 + int.from_bytes(data[at:at + 8], "little")
        expect(at == len(data), path.name, "ends within a record")


def records(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def expect_scalars(known, tag, expected):
    actual = known[tag]
    expect([step for step, _ in actual] == [step for step, _ in expected], tag, "has other steps than the records")
    values, recorded = ([value for _, value in curve] for curve in (actual, expected))
    expect(np.allclose(values, recorded, rtol=FLOAT32, atol=0), tag, "has other values than the records")


def expect_records(known, run):
    """The event file says what metrics.jsonl and evaluation.json say."""
    by_event = {}
    for record in records(run):
        by_event.setdefault(record["event"], []).append(record)
    for tag in ("loss", "accuracy"):
        expect_scalars(known, tag + "/step", [(r["step"], r[tag]) for r in by_event["step"]])
        expect_scalars(known, tag + "/train", [(r["steps"], r["train_" + tag]) for r in by_event["epoch"]])
        evaluations = [(r["step"], r["valid_" + tag]) for r in by_event["evaluation"]]
        expect_scalars(known, tag + "/valid", sorted(evaluations + [(r["steps"], r["valid_" + tag]) for r in by_event["epoch"]]))
        end = by_event["end"][-1]
        expect_scalars(known, tag + "/test", [(end["steps"], end["test_" + tag])])
    expect_scalars(known, "lr", [(r["step"], r["lr"]) for r in by_event["step"]])
    expect_scalars(known, "images_per_second", [(r["steps"], r["images_per_second"]) for r in by_event["epoch"]])
    for (step, buckets), record in zip(known["input/1 bn"], by_event["bn"], strict=True):
        percentiles = record["input_percentiles"]
        expect(step == record["step"] and buckets.min <= percentiles["5"] and percentiles["95"] <= buckets.max, "input of step", step)
        expect(buckets.num == sum(buckets.bucket) == 32 * 4 * 6 * 6, "values of step", step, buckets.num)
        mean = np.mean([channel["batch_mean"] for channel in record["channels"]])
        expect(abs(buckets.sum / buckets.num - mean) < 1e-6, "mean of step", step)
        limits = buckets.bucket_limit
        expect(limits == sorted(limits) and limits[-1] == buckets.max, "limits of step", step)
    for name in ("gamma", "beta"):
        for (step, buckets), record in zip(known[name + "/1 bn"], by_event["bn"], strict=True):
            values = [channel[name] for channel in record["channels"]]
            expect(step == record["step"] and abs(buckets.sum - sum(values)) < 1e-6 and buckets.num == 4, name, "of step", step)
    expect([step for step, _ in known["input/2 relu"]] == [r["step"] for r in by_event["activation"]], "activations")
    details = json.loads((run / "evaluation.json").read_text())
    expect(1 < len(details["mistakes"]), "too few mistakes to look at")
    for number, mistake in enumerate(details["mistakes"], 1):
        step, png = known[f"mistakes/{number:02}"][-1]
        expect(step == details["step"] - 1 and png == base64.b64decode(mistake["png"]), "picture", number)
    table = known["mistakes"][-1][1]
    expect(f"| 01 | {details['mistakes'][0]['index']} |" in table, table)
    expect("| --epochs | 4 |" in known["configuration"][-1][1], known["configuration"][-1][1])


def with_flag(flag, value):
    arguments = [*RUN]
    arguments[arguments.index(flag) + 1] = value
    return arguments


def call(bntrain, arguments, expected=0):
    done = subprocess.run([bntrain, *arguments], capture_output=True, text=True)
    if "built without" in done.stderr:
        print(done.stderr)
        sys.exit(77)
    expect(done.returncode == expected, "exit code", done.returncode, "of", arguments, done.stderr)


def without_times(known):
    """What a resumed run must have in common with one that was not interrupted."""
    return {tag: values for tag, values in known.items() if tag not in ("images_per_second", "configuration")}


def killed_and_resumed(bntrain, run):
    """A run that is killed at random moments until it has been killed often enough."""
    chance, killed = random.Random(1), 0
    command = [bntrain, *RUN, "--out", run, "--tensorboard", run / "events"]
    for attempt in range(60):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if killed < 8:
            time.sleep(chance.uniform(0.005, 0.15))
            process.kill()
        stderr = process.communicate(timeout=300)[1]
        expect(process.returncode in (0, -9), "exit code", process.returncode, stderr)
        killed += process.returncode != 0
        if (run / "events").exists():
            expect_whole(run / "events")
        if process.returncode == 0 and killed >= 3:
            return killed
        if (run / "last.safetensors").exists():
            command = [bntrain, "--resume", run, "--quiet"]
        elif run.exists():
            run.rename(run.with_name(f"nothing-{attempt}"))  # killed before its first checkpoint
    raise SystemExit("the run does not end")


def expect_same(ours, theirs, what):
    ours, theirs = without_times(ours), without_times(theirs)
    expect(ours.keys() == theirs.keys(), what, "has other tags:", ours.keys() ^ theirs.keys())
    for tag, values in ours.items():
        expect(values == theirs[tag], tag, "differs in the run that was", what, values, theirs[tag])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bntrain", required=True)
    bntrain = parser.parse_args().bntrain
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # purging is what is asked for
    with tempfile.TemporaryDirectory() as folder:
        whole, resumed, killed, diverged = (Path(folder, name) for name in ("whole", "resumed", "killed", "diverged"))
        call(bntrain, [*RUN, "--out", whole, "--tensorboard", whole / "events"])
        known = read(whole / "events")
        expect_records(known, whole)

        # At the end of an epoch, whose values are at the step that comes again.
        call(bntrain, [*with_flag("--epochs", "2"), "--out", resumed, "--tensorboard", resumed / "events"])
        call(bntrain, ["--resume", resumed, "--epochs", "4", "--quiet"])
        again = read(resumed / "events")
        expect_records(again, resumed)
        expect_same(known, again, "resumed")

        times = killed_and_resumed(bntrain, killed)
        again = read(killed / "events")
        expect_records(again, killed)
        expect_same(known, again, "killed")

        call(bntrain, [*with_flag("--lr", "1e38"), "--out", diverged, "--tensorboard", diverged], expected=4)
        expect(not np.isfinite(read(diverged)["loss/step"][-1][1]), "the loss that diverged is missing")
    print(f"{len(known)} curves, histograms, pictures and texts; the same when resumed, and after {times} kills")


if __name__ == "__main__":
    main()
