"""Errors by quantity, and how they are judged."""
from collections import defaultdict

import numpy as np


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
