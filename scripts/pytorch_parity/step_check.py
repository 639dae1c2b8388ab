"""One step from the same state: bntrain's float32 against PyTorch's float64."""
from collections import defaultdict

import numpy as np
import torch

from torch_network import build

from .measures import Measures, largest_ratio, relative_norm
from .network import BATCH_SIZE, CORRECT, Network, initial_state, is_parameter, rounded
from .optimizers import expected_updates

LR = 0.2
LOSS_BOUND = 1e-6
# Of gradients, in units of |gradient| + SHARE_OF_TERMS * |sums of |terms||: a batch norm after a layer takes most of
# its gradient away where its inputs hardly differ, or all but eps where a kernel has one weight, and leaves rounding. An
# activation's own error is a few roundings of an element, and what the sums of a layer make of it is no larger than
# what they make of the roundings of its input: a new activation needs no bound of its own.
SHARE_OF_TERMS = 0.1
LINEAR_BOUND, IMAGE_BOUND = 5e-6, 2e-5  # layers with flat outputs, layers of images
EXPOSED_BOUND = 2e-3  # in a state where a ReLU of images or the argmax of a pooling window flips; medians see none
RUNNING_BOUND = 1e-6  # of the variance, and of the mean in units of sqrt(mean^2 + variance)
# The gradient of a bias before a batch norm is 0; what remains is the rounding of the terms of its sum, in units of
# sum |terms|. PyTorch in float32 gives 1.1e-5, a BN backward without its sums 0.1.
CANCELLED_BOUND = 3e-5
CANCELLED = 1e-10  # of sum |terms| is 0 in float64
# A hidden ReLU whose input is 0 but for float32's rounding may take either side. One such image changes the gradients
# of the first linear layer by 1e-3, so the reference takes bntrain's side.
TIE = 2e-6  # of the inputs' root mean square; float32's own error is about 5e-7
TIES_BOUND = 2  # a state
PLANTED_STATES = 3  # enough to notice an error, and each costs a step in float64


def is_cancelled(step, name):
    """Whether the gradient is 0 but for rounding, as that of a bias before a batch norm."""
    return bool((step.gradients[name].abs() <= CANCELLED * step.terms(name)).all())


def gradient_error(step, gradients, name):
    expected = step.gradients[name].numpy()
    scale = np.linalg.norm(expected) + SHARE_OF_TERMS * np.linalg.norm(step.terms(name).numpy())
    difference = np.linalg.norm(gradients[name] - expected)
    return 0.0 if difference == 0 else difference / scale if scale > 0 else np.inf


def compare_gradients(measures, expected, gradients):
    for name in expected.gradients:
        layer = name.rpartition(".")[0]
        if is_cancelled(expected, name):
            measures.add(f"gradient {name} / sum |terms|",
                         largest_ratio(np.abs(gradients[name]), expected.terms(name).numpy()), CANCELLED_BOUND)
        else:
            bound = LINEAR_BOUND if expected.is_flat(layer) else IMAGE_BOUND
            measures.add(f"gradient {name}", gradient_error(expected, gradients, name),
                         EXPOSED_BOUND if layer in expected.exposed else bound, bound)


def compare_statistics(measures, expected, after):
    for name, values in after.items():
        if name.endswith("num_batches_tracked"):
            measures.add(f"after {name}", abs(int(values) - int(expected[name])), 0)
        elif name.endswith("running_var"):
            measures.add(f"after {name}", relative_norm(values.astype(np.float64), expected[name].numpy()),
                         RUNNING_BOUND)
        elif name.endswith("running_mean"):
            mean, var = expected[name].numpy(), expected[name.replace("running_mean", "running_var")].numpy()
            measures.add(f"after {name}", np.linalg.norm(values - mean) / np.linalg.norm(np.hypot(mean, np.sqrt(var))),
                         RUNNING_BOUND)


def compare_updates(measures, module, optimizer, state, outcomes, rules):
    """Each update from bntrain's own state by its own gradients, in units of what rounding explains."""
    states = [state, *({name: torch.from_numpy(values.astype(np.float64 if values.dtype == np.float32 else np.int64))
                        for name, values in outcome.after.items()} for outcome in outcomes)]
    rates = optimizer.learning_rates(len(outcomes), 1)
    error = 0.0
    updates = expected_updates(module, optimizer, states, [outcome.gradients for outcome in outcomes], rates)
    for before, outcome, (after, allowed) in zip(states, outcomes, updates):
        for name in after:
            expected = after[name] if rules.update else before[name].numpy()
            # Unlike max() it keeps NaN.
            error = np.maximum(error, largest_ratio(np.abs(outcome.after[name] - expected), allowed[name]))
    measures.add("updates / rounding", error, 1)


def ties_taken_otherwise(expected, gradients, take_step):
    """(ReLU, image, unit) of the hidden ReLUs that are 0 but for rounding and that bntrain saw on the other side, and
    the step that takes its side."""
    def errors(step):
        return [gradient_error(step, gradients, name) for name in step.gradients
                if step.is_flat(name.rpartition(".")[0]) and not is_cancelled(step, name)]

    taken = []
    if max(errors(expected)) > LINEAR_BOUND:
        ties = [(name, *tie) for name, x in expected.hidden.items()
                for tie in (x.abs() < TIE * x.square().mean().sqrt()).nonzero().tolist()]
        for tie in ties:
            other = take_step([*taken, tie])
            if sum(errors(other)) < sum(errors(expected)):
                taken, expected = [*taken, tie], other
    return taken, expected


def run(program, images, labels, setting, optimizer, init, seed, states, every, planted=()):
    """Every `every`th state of a float64 run of PyTorch, rounded to float32. Measures by the name of the rules."""
    if optimizer.schedule.startswith(("cosine", "onecycle")):
        raise SystemExit(f"the rates of '{optimizer.schedule}' depend on the number of steps: --check free compares "
                         "them")
    measures = defaultdict(Measures)
    networks = {rules: Network(setting.text, rules) for rules in (CORRECT, *planted)}
    network, module = networks[CORRECT], build(setting.text)
    network.load(initial_state(setting.text, init, seed))
    twin = optimizer.twin(network.module)
    order = np.random.default_rng(1000 + seed).permutation(len(images))
    for step in range((states - 1) * every + 1):
        batch = order[step * BATCH_SIZE % len(order):][:BATCH_SIZE]
        batch = batch if len(batch) == BATCH_SIZE else order[:BATCH_SIZE]
        checked = step % every == 0
        state = rounded(network.state()) if checked else network.state()

        def take_step(flips=(), rules=CORRECT):
            networks[rules].load(state)
            return networks[rules].step(images[batch], labels[batch], flips)

        expected = take_step()
        if checked:
            outcomes = [program.train(state, images[batch], labels[batch], setting, optimizer, steps)
                        for steps in range(1, optimizer.updates + 1)]
            first = outcomes[0]
            if set(first.after) != set(state) or set(first.gradients) != set(expected.gradients):
                raise SystemExit(f"tensor names: saved {sorted(first.after)}, gradients {sorted(first.gradients)}")
            ties, same_side = ties_taken_otherwise(expected, first.gradients, take_step)
            wrong = planted if step < PLANTED_STATES * every else ()
            for rules, reference in {CORRECT: same_side, **{error: take_step(rules=error) for error in wrong}}.items():
                of = measures[rules.name]
                of.add("loss", abs(first.losses[0] - reference.loss) / abs(reference.loss), LOSS_BOUND)
                compare_gradients(of, reference, first.gradients)
                compare_statistics(of, reference.after, first.after)
                compare_updates(of, module, optimizer, state, outcomes, rules)
            measures[CORRECT.name].add("hidden ReLUs at 0 that differ", len(ties), TIES_BOUND)
        network.update(twin, optimizer.lr)
    return measures
