"""Strokes as they can be seen in the picture, whatever joint made them: palm and fingertips travel one way.

A recipe draws joints. What comes of it is now and then no stroke that anybody would see, and a kind of `none` now and then
makes one; such windows are not drawn, so that both labels mean what they say. Arrays are those of `camera.py`.
"""

import numpy as np

from camera import PALM, hand_length
from motion import POSES, RATE_HZ

TIPS = [8, 12]
# A stroke is at least so long (hand lengths), and so quick (hand lengths a second); what is no stroke is less.
SEEN, SEEN_SPEED = 0.45, 0.9
LIKE, LIKE_SPEED = 0.75, 1.2
# How far off its direction, in degrees, and off a straight line (way by path).
ASIDE, STRAIGHT = 38, 0.85
# In poses: how long strokes take, and until when after its end one is called by its name.
TAKES, KNOWN = range(3, 15), 7


def track(exact):
    """Where each hand is in the picture (2, POSES, n), in its own lengths."""
    return (0.5 * exact[:2, PALM].mean(1) + 0.5 * exact[:2, TIPS].mean(1)) / np.maximum(hand_length(exact), 1e-6)


def is_seen(m, exact):
    """Whether the stroke that the recipe drew is one in the picture, (n,)."""
    degrees, start, end = m.stroke
    at = lambda t: np.clip(np.round(t * RATE_HZ).astype(int) + POSES - 1, 0, POSES - 1)
    path, each = track(exact), np.arange(m.n)
    way = path[:, at(end), each] - path[:, at(start), each]
    far = np.hypot(*way)
    off = np.degrees(np.arctan2(-way[1], way[0])) - degrees
    off = np.abs((off + 180) % 360 - 180)
    return (far > SEEN) & (far > SEEN_SPEED * np.minimum(end - start, -start)) & (off < ASIDE)


def is_like_one(exact):
    """Whether something in the last half second looks like a stroke along an axis of the picture, (n,)."""
    path = track(exact)
    gone = np.concatenate([np.zeros((1, path.shape[2])), np.cumsum(np.hypot(*np.diff(path, axis=1)), 0)])
    like = np.zeros(path.shape[2], bool)
    for takes in TAKES:
        for last in range(POSES - KNOWN, POSES):
            way = np.abs(path[:, last] - path[:, last - takes])
            far = np.hypot(*way)
            straight = far > STRAIGHT * (gone[last] - gone[last - takes])
            along = way.min(0) < np.tan(np.radians(25)) * way.max(0)
            like |= straight & along & (far > LIKE) & (far > LIKE_SPEED * takes / RATE_HZ)
    return like
