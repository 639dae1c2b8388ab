"""Free runs: fifty steps from one state without meeting in between."""
import numpy as np

from .network import BATCH_SIZE, CORRECT, initial_state, rounded, train_step

STEPS = 50
LR = 0.002  # at 0.2 training amplifies rounding; at this rate float32 stays within 2.4e-6 of float64
LOSS_BOUND = 2e-5
DRIFT_LR = 0.2
IMAGES = 24 * BATCH_SIZE + 96  # two epochs of 25 steps, each with a short last batch


def torch_losses(state, images, labels, rules, lr):
    losses = []
    steps_per_epoch = -(-len(images) // BATCH_SIZE)
    for step in range(STEPS):
        first = step % steps_per_epoch * BATCH_SIZE
        result = train_step(state, images[first:first + BATCH_SIZE], labels[first:first + BATCH_SIZE], rules, lr)
        state = result.after
        losses.append(result.loss)
    return np.array(losses)


class FreeRun:
    """bntrain's losses for one seed, and PyTorch's under any rules."""

    def __init__(self, program, images, labels, norm, seed, lr):
        chosen = np.random.default_rng(2000 + seed).permutation(len(images))[:IMAGES]
        self.images, self.labels = images[chosen], labels[chosen]
        self.state = rounded(initial_state(norm, "torch", seed))
        self.norm, self.lr = norm, lr
        self.losses = np.array(program.train(self.state, self.images, self.labels, norm, lr, STEPS).losses)

    def expected(self, rules):
        return torch_losses(self.state, self.images, self.labels, rules, self.lr)

    def error(self, rules):
        """The largest difference of a step's loss; NaN stays NaN."""
        return float(np.max(np.abs(self.losses - self.expected(rules))))

    def drift(self):
        """Relative distance from float64 by step: bntrain's, and that of PyTorch's own float32."""
        exact = self.expected(CORRECT[self.norm])
        state = {name: values.float() if values.is_floating_point() else values
                 for name, values in self.state.items()}
        single = torch_losses(state, self.images, self.labels, CORRECT[self.norm], self.lr)
        return exact, np.abs(self.losses - exact) / exact, np.abs(single - exact) / exact
