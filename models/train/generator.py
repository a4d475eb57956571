"""Labelled synthetic pose windows, deterministic by seed."""

import numpy as np

import camera
from labels import LABELS
from motion import RECIPES, WRONGLY_HELD, holds_known_shape

CHUNK = 256


def windows(seed, n, only=None):
    """`n` windows: poses (n, 30, 21, 3) float32, label (n,), kind (n,) as an index into `motion.KINDS`."""
    rng = np.random.default_rng(seed)
    share = np.array([r[3] if only is None or r[1] in only else 0.0 for r in RECIPES])
    counts = rng.multinomial(n, share / share.sum())
    poses, label, kind = np.empty((n, 30, 21, 3), np.float32), np.empty(n, int), np.empty(n, int)
    at = 0
    for k, (name, _, recipe, _) in enumerate(RECIPES):
        left = counts[k]
        while left:
            m = recipe(rng, min(CHUNK, left + left // 4 + 8))
            seen = camera.pad(camera.estimate(m, camera.project(m)), m.first)
            if name == "none" and RECIPES[k][1] not in WRONGLY_HELD:
                # A known shape that happens to be held is not `none`: such windows are left out.
                seen = seen[~holds_known_shape(m)]
            size = min(left, len(seen))
            poses[at : at + size] = seen[:size]
            label[at : at + size], kind[at : at + size] = LABELS.index(name), k
            at, left = at + size, left - size
    order = rng.permutation(n)
    return poses[order], label[order], kind[order]
