"""One step from the same state: bntrain's float32 against PyTorch's float64."""
from collections import defaultdict

import numpy as np

from .network import BATCH_SIZE, CORRECT, initial_state, is_parameter, layer_names, rounded, train_step

LOSS_BOUND = 1e-6
LINEAR_BOUND = 5e-6
CONV_MEDIAN_BOUND, CONV_MAX_BOUND = 1e-4, 1e-2  # a ReLU or a pool's winner may flip
RUNNING_BOUND = 1e-6
# The gradient of a conv bias in front of BN is 0; what remains is the rounding of the terms of its sum, in units of
# sum |terms|. PyTorch in float32 gives 1.1e-5, a BN backward without its sums 0.1.
CANCELLED_BOUND = 3e-5
# A hidden ReLU whose input is 0 but for float32's rounding may take either side. One such image changes the gradients
# of the first linear layer by 1e-3, so the reference takes bntrain's side.
TIE = 2e-6  # of the inputs' root mean square; float32's own error is about 5e-7
TIES_BOUND = 2  # a state
LR = 0.2
PLANTED_STATES = 3  # enough to notice an error, and each costs a step in float64


class Measures:
    """Errors by quantity, one a state, with the bounds of their median and of their maximum."""

    def __init__(self):
        self.errors = defaultdict(list)
        self.bounds = {}

    def add(self, quantity, error, bound, median_bound=None):
        self.errors[quantity].append(float(error))
        self.bounds[quantity] = (bound if median_bound is None else median_bound, bound)

    def rows(self):
        """(quantity, median, bound, maximum, bound, state of the maximum, passed); NaN never passes."""
        for quantity, errors in self.errors.items():
            median, largest = np.median(errors), np.max(errors)
            median_bound, bound = self.bounds[quantity]
            worst = int(np.argmax(np.where(np.isnan(errors), np.inf, errors)))
            passed = bool(median <= median_bound and largest <= bound)
            yield quantity, median, median_bound, largest, bound, worst, passed

    def failures(self):
        return [row for row in self.rows() if not row[-1]]


def relative_norm(actual, expected):
    difference, norm = np.linalg.norm(actual - expected), np.linalg.norm(expected)
    return 0.0 if difference == 0 else difference / norm if norm > 0 else np.inf


def largest_ratio(errors, allowed):
    """The largest error in units of what is allowed; where nothing is allowed (a dead channel) 0 is right."""
    return np.max(np.divide(errors, allowed, out=np.where(errors == 0, 0.0, np.inf), where=allowed > 0))


def compare(measures, state, expected, outcome, rules):
    """Adds the errors of one step from `state`."""
    convs, norms, _ = layer_names(rules.norm)
    measures.add("loss", abs(outcome.losses[0] - expected.loss) / abs(expected.loss), LOSS_BOUND)
    if set(outcome.after) != set(state) or set(outcome.gradients) != set(expected.gradients):
        raise SystemExit(f"tensor names: saved {sorted(outcome.after)}, gradients {sorted(outcome.gradients)}")
    for name, gradient in expected.gradients.items():
        gradient, actual = gradient.numpy(), outcome.gradients[name].astype(np.float64)
        if rules.norm and name in expected.conv_gradient_sums:
            measures.add(f"gradient {name} / sum |terms|",
                         largest_ratio(np.abs(actual), expected.conv_gradient_sums[name].numpy()), CANCELLED_BOUND)
        elif name.split(".")[0] in convs + norms:
            measures.add(f"gradient {name}", relative_norm(actual, gradient), CONV_MAX_BOUND, CONV_MEDIAN_BOUND)
        else:
            measures.add(f"gradient {name}", relative_norm(actual, gradient), LINEAR_BOUND)
    update_error = 0.0
    for name, after in outcome.after.items():
        if name.endswith("num_batches_tracked"):
            measures.add(f"after {name}", abs(int(after) - int(expected.after[name])), 0)
        elif not is_parameter(name):
            measures.add(f"after {name}", relative_norm(after.astype(np.float64), expected.after[name].numpy()),
                         RUNNING_BOUND)
        else:
            # Judged with bntrain's own gradient, so that the update's error is not drowned in the gradient's.
            before, gradient = state[name].numpy(), outcome.gradients[name].astype(np.float64)
            rounding = 2.0 ** -23 * (np.abs(before) + 2 * LR * np.abs(gradient))
            error = largest_ratio(np.abs(after - rules.updated(before, gradient, LR)), rounding)
            update_error = np.maximum(update_error, error)  # unlike max() it keeps NaN
    measures.add("update w - lr g / rounding", update_error, 1)


def ties_taken_otherwise(expected, outcome, take_step, norm):
    """(image, unit) of the hidden ReLUs that are 0 but for rounding and that bntrain saw on the other side."""
    bias = f"{layer_names(norm)[2][0]}.bias"

    def error(step):
        return relative_norm(outcome.gradients[bias], step.gradients[bias].numpy())

    taken = []
    if error(expected) > LINEAR_BOUND:
        smallest = TIE * expected.hidden.square().mean().sqrt()
        for tie in (expected.hidden.abs() < smallest).nonzero().tolist():
            other = take_step([*taken, tie])
            if error(other) < error(expected):
                taken, expected = [*taken, tie], other
    return taken, expected


def run(program, images, labels, norm, init, seed, states, every, planted=()):
    """Every `every`th state of a float64 run of PyTorch, rounded to float32. Measures by the name of the rules."""
    measures = defaultdict(Measures)
    rules = CORRECT[norm]
    state = initial_state(norm, init, seed)
    order = np.random.default_rng(1000 + seed).permutation(len(images))
    for step in range((states - 1) * every + 1):
        batch = order[step * BATCH_SIZE % len(order):][:BATCH_SIZE]
        batch = batch if len(batch) == BATCH_SIZE else order[:BATCH_SIZE]
        checked = step % every == 0
        if checked:
            state = rounded(state)
        expected = train_step(state, images[batch], labels[batch], rules, LR)
        if checked:
            outcome = program.train(state, images[batch], labels[batch], norm, LR, 1)
            ties, same_side = ties_taken_otherwise(
                expected, outcome, lambda flips: train_step(state, images[batch], labels[batch], rules, LR, flips), norm)
            compare(measures[rules.name], state, same_side, outcome, rules)
            measures[rules.name].add("hidden ReLUs at 0 that differ", len(ties), TIES_BOUND)
            for error in planted if step < PLANTED_STATES * every else ():
                wrong = train_step(state, images[batch], labels[batch], error, LR)
                compare(measures[error.name], state, wrong, outcome, error)
        state = expected.after
    return measures
