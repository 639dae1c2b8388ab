"""Free runs: fifty steps from one state without meeting in between."""
import numpy as np

from .network import BATCH_SIZE, CORRECT, Network, initial_state, rounded

STEPS = 50
LR = 0.002  # at 0.2 training amplifies rounding; at this rate float32 stays within 2.4e-6 of float64
LOSS_BOUND = 2e-5
DRIFT_LR = 0.2
IMAGES = 24 * BATCH_SIZE + 96  # two epochs of 25 steps, each with a short last batch
STEPS_PER_EPOCH = 25


class FreeRun:
    """bntrain's losses for one seed, and PyTorch's under any rules."""

    def __init__(self, program, images, labels, setting, seed, optimizer):
        chosen = np.random.default_rng(2000 + seed).permutation(len(images))[:IMAGES]
        self.images, self.labels = images[chosen], labels[chosen]
        self.state = rounded(initial_state(setting.text, "torch", seed))
        self.setting, self.optimizer = setting, optimizer
        self.losses = np.array(program.train(self.state, self.images, self.labels, setting, optimizer, STEPS).losses)

    def expected(self, rules=CORRECT, state=None):
        """PyTorch's losses, in the precision of `state`."""
        network = Network(self.setting.text, rules)
        network.load(state or self.state)
        twin, losses = self.optimizer.twin(network.module), []
        for step, lr in enumerate(self.optimizer.learning_rates(STEPS, STEPS_PER_EPOCH)):
            first = step % STEPS_PER_EPOCH * BATCH_SIZE
            batch = slice(first, first + BATCH_SIZE)
            losses.append(network.step(self.images[batch], self.labels[batch]).loss)
            network.update(twin, lr)
        return np.array(losses)

    def error(self, rules=CORRECT):
        """The largest difference of a step's loss; NaN stays NaN."""
        return float(np.max(np.abs(self.losses - self.expected(rules))))

    def drift(self):
        """Relative distance from float64 by step: bntrain's, and that of PyTorch's own float32."""
        exact = self.expected()
        single = self.expected(state={name: values.float() if values.is_floating_point() else values
                                      for name, values in self.state.items()})
        return exact, np.abs(self.losses - exact) / exact, np.abs(single - exact) / exact
