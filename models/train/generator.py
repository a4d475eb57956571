"""Labelled synthetic pose windows, deterministic by seed."""

import numpy as np

import camera
import strokes
from labels import LABELS
from motion import RECIPES, STROKED_WITH, STROKING, WRONGLY_HELD, holds_known_shape

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
            exact = camera.project(m)
            seen = camera.pad(camera.estimate(m, exact), m.first)[means_it(m, exact, name, RECIPES[k][1])]
            size = min(left, len(seen))
            poses[at : at + size] = seen[:size]
            label[at : at + size], kind[at : at + size] = LABELS.index(name), k
            at, left = at + size, left - size
    order = rng.permutation(n)
    return poses[order], label[order], kind[order]


def means_it(m, exact, label, kind):
    """Whether a window is what its recipe means (n,): a known shape that happens to be held, or a stroke, is not `none`, and a
    stroke that can't be seen is none. Others are left out."""
    if m.stroke is not None:
        return strokes.is_seen(m, exact)
    kept = np.ones(m.n, bool)
    if label == "none" and kind not in WRONGLY_HELD:
        kept &= ~holds_known_shape(m)
    if label in STROKED_WITH or (label == "none" and kind not in STROKING):
        kept &= ~strokes.is_like_one(exact)
    return kept
