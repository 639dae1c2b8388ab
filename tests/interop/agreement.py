"""When two programs compute the same."""
import re

import numpy as np

ROUNDINGS = 16


def bound(text, logits):
    """What rounding in float32 explains, as `bntrain export --fold` states it: a few roundings in every layer with
    weights, passed on to the logits in proportion to them."""
    weighted = len(re.findall("conv|fc", text))
    return ROUNDINGS * np.finfo(np.float32).eps * weighted * np.abs(logits).max()


def accuracy(logits, labels):
    return (logits.argmax(1) == labels).mean()


def expect_same(name, text, ours, theirs, labels):
    """Equal logits but for rounding, and the same answers wherever the two best logits are not within rounding."""
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        raise SystemExit(f"{name}: logits that are not finite")
    if ours.shape != theirs.shape or np.ptp(ours, axis=0).min() == 0:
        raise SystemExit(f"{name}: shapes {ours.shape} and {theirs.shape}, or a class that is the same for all images")
    allowed = bound(text, ours)
    difference = np.abs(ours.astype(np.float64) - theirs).max()
    if difference > allowed:
        raise SystemExit(f"{name}: logits differ by {difference:.3g}, allowed {allowed:.3g}")
    best = np.sort(ours, axis=1)
    undecided = int((best[:, -1] - best[:, -2] <= 2 * allowed).sum())
    other = int((ours.argmax(1) != theirs.argmax(1)).sum())
    if other > undecided:
        raise SystemExit(f"{name}: {other} other answers, {undecided} images within rounding")
    print(f"{name}: logits to {np.abs(ours).max():.3g} differ by {difference:.2g}, allowed {allowed:.2g}; accuracy "
          f"{accuracy(ours, labels):.4f} and {accuracy(theirs, labels):.4f}", flush=True)
