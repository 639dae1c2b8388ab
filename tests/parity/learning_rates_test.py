"""PyTorch's learning rates against formulas, and the check of them against a program that errs.

usage: learning_rates_test.py SCRIPTS_FOLDER"""
import contextlib
import io
import math
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(sys.argv.pop(1)).resolve()))
from pytorch_parity import schedule_check  # noqa: E402
from pytorch_parity.schedules import learning_rates  # noqa: E402


def between(first, last, share):
    """By half a cosine."""
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


def onecycle(step, steps):
    rise = 0.3 * steps - 1
    if step <= rise:
        return between(1 / 25, 1, step / rise)
    return between(1, 1 / 25 / 1e4, (step - rise) / (steps - 1 - rise))


def piecewise(step, points):
    if step <= points[0][0]:
        return points[0][1]
    for (left, a), (right, b) in zip(points, points[1:]):
        if step <= right:
            return a + (b - a) * (step - left) / (right - left)
    return points[-1][1]


def factor(schedule, step, steps, steps_per_epoch):
    kind, _, options = schedule.partition(":")
    if kind == "step":
        epochs, gamma = options.split(":")
        return float(gamma) ** (step // (int(epochs) * steps_per_epoch))
    if kind == "cosine":
        return between(1, float(options or 0) / schedule_check.LR, step / steps)
    if kind == "onecycle":
        return onecycle(step, steps)
    if kind == "linear":
        return piecewise(step, [tuple(map(float, point.split("="))) for point in options.split(",")])
    return 1


class LearningRates(unittest.TestCase):
    def test_by_the_formulas(self):
        for schedule in schedule_check.SCHEDULES:
            for warmup in schedule_check.WARMUPS:
                with self.subTest(schedule, warmup=warmup):
                    steps, lr = 24 - warmup, schedule_check.LR
                    expected = [lr * factor(schedule, step, steps, 7) for step in range(steps)]
                    expected = [expected[0] * (step + 1) / warmup for step in range(warmup)] + expected
                    told = learning_rates(schedule, warmup, lr, 24, 7)
                    self.assertLess(schedule_check.lr_error(told, expected), 1e-13)

    def test_by_hand(self):
        self.assertEqual(learning_rates("step:2:0.5", 0, 1.0, 5, 1), [1, 1, 0.5, 0.5, 0.25])
        self.assertEqual(learning_rates("linear:1=0.5,3=1", 2, 1.0, 7, 1), [0.25, 0.5, 0.5, 0.5, 0.75, 1, 1])
        self.assertEqual(learning_rates("constant", 4, 2.0, 3, 1), [0.5, 1, 1.5])

    def test_refuses_what_it_does_not_know(self):
        with self.assertRaisesRegex(SystemExit, "no schedule 'square'"):
            learning_rates("square", 0, 1.0, 3, 1)


class InPlaceOfProgram:
    """Tells the rates that `alter` makes of the right ones."""

    def __init__(self, alter):
        self.alter = alter

    def step_records(self, arguments):
        flags = dict(zip(arguments[::2], arguments[1::2]))
        steps = flags.get("--steps", 7 * flags.get("--epochs", 0))
        rates = learning_rates(flags.get("--schedule", "constant"), flags.get("--warmup", 0), float(flags["--lr"]),
                               steps, 7)
        return [{} if lr is None else {"lr": lr} for lr in self.alter(rates)]


class ScheduleCheck(unittest.TestCase):
    def passes(self, alter):
        with contextlib.redirect_stdout(io.StringIO()):
            return schedule_check.check(InPlaceOfProgram(alter), {})

    def test_passes_the_right_rates(self):
        self.assertTrue(self.passes(lambda rates: rates))

    def test_notices_wrong_and_missing_ones(self):
        for alter in (lambda rates: rates[1:] + rates[-1:], lambda rates: rates[:-1], lambda rates: [*rates[:-1], None],
                      lambda rates: [rates[0] * (1 + 1e-11), *rates[1:]], lambda rates: []):
            self.assertFalse(self.passes(alter))


if __name__ == "__main__":
    unittest.main()
