"""Windows of recorded takes (`palmd record`), for a training that a set-up's own people should weigh in.

Takes are few, so that each window is drawn again and again, varied as the same person would: another place, size, tilt and pace. Of a
held shape every window counts, of a movement those around its end, of `none` all.
"""

import json

import numpy as np

from labels import LABELS
from motion import HELD, POSES, RATE_HZ

FEWEST, MOST = 8, 150
JOINTS = 21
# Windows of a movement end at most so long after it.
AFTER = int(0.5 * RATE_HZ)
# The points whose speed tells where a movement ends; poses over which it is taken; its share of the peak.
ENDS, STEP, MOVING = [0, 4, 8, 12, 16, 20], 3, 0.25


class TakesError(Exception):
    """A file of takes that can't be used; the text names the file and what to do."""


def read(path):
    """A file's label and its takes, each (n, 21, 3)."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TakesError(f"{path}: {error}; name a file that `palmd record` wrote") from None
    if not lines:
        raise TakesError(f"{path}: it is empty; record takes with `palmd record`")
    head = parsed(path, 1, lines[0])
    if not isinstance(head, dict) or head.get("format") != "palmd takes" or head.get("version") != 1:
        raise TakesError(f"{path}: it is no file of takes of version 1; `palmd record` writes such files")
    if head.get("rate_hz") != RATE_HZ:
        raise TakesError(f"{path}: its takes have {head.get('rate_hz')} poses a second, but {RATE_HZ} are needed; record them anew")
    label = head.get("label")
    if label not in LABELS:
        raise TakesError(f"{path}: {label!r} is none of the classifier's labels ({', '.join(LABELS)}); `palmd learn {label}` teaches it without training")
    return label, [take(path, number, line) for number, line in enumerate(lines[1:], 2)]


def parsed(path, number, line):
    try:
        return json.loads(line)
    except ValueError as error:
        raise TakesError(f"{path}, line {number}: {error}; delete the line") from None


def take(path, number, line):
    try:
        poses = np.array(parsed(path, number, line)["poses"], np.float32)
    except (KeyError, TypeError, ValueError):
        poses = np.zeros(0, np.float32)
    if poses.ndim != 3 or poses.shape[1:] != (JOINTS, 3) or not FEWEST <= len(poses) <= MOST or not np.isfinite(poses).all():
        raise TakesError(f"{path}, line {number}: a take is {FEWEST} to {MOST} poses of {JOINTS} finite points; delete the line")
    return poses


def ends(label, poses):
    """The poses with which windows of the label end."""
    last = len(poses) - 1
    if label in HELD or label == "none":
        return np.arange(FEWEST - 1, last + 1)
    tips = poses[:, ENDS, :2]
    speed = np.linalg.norm(tips[STEP:] - tips[:-STEP], axis=-1).max(1)
    over = np.flatnonzero(speed > MOVING * speed.max())
    end = over[-1] + STEP // 2 if len(over) else last
    return np.arange(np.clip(end, FEWEST - 1, last), min(end + AFTER, last) + 1)


class Takes:
    """What was recorded, to draw windows of."""

    def __init__(self, paths):
        self.takes = []
        for path in paths:
            label, takes = read(path)
            self.takes += [(label, poses, ends(label, poses)) for poses in takes]
        if not self.takes:
            raise TakesError("no takes in " + ", ".join(map(str, paths)) + "; record some with `palmd record`")
        self.labels = sorted({label for label, _, _ in self.takes}, key=LABELS.index)

    def windows(self, rng, n):
        """`n` windows (n, 30, 21, 3) and their labels (n,); each label comes up equally often."""
        by_label = [[t for t in self.takes if t[0] == label] for label in self.labels]
        poses, labels = np.empty((n, POSES, JOINTS, 3), np.float32), np.empty(n, int)
        for i in range(n):
            mine = by_label[rng.integers(len(by_label))]
            label, recorded, last = mine[rng.integers(len(mine))]
            poses[i] = varied(rng, window(rng, recorded, last[rng.integers(len(last))]))
            labels[i] = LABELS.index(label)
        return poses, labels


def window(rng, poses, end):
    """The window that ends with pose `end`, a little faster or slower; what lies before the take is its first pose."""
    at = np.maximum(end - np.arange(POSES - 1, -1, -1) * rng.uniform(0.85, 1.2), 0)
    low = np.floor(at).astype(int)
    share = (at - low)[:, None, None]
    return poses[low] * (1 - share) + poses[np.minimum(low + 1, len(poses) - 1)] * share


def varied(rng, poses):
    """Elsewhere in the picture, nearer or farther, tilted, with the estimator's jitter."""
    angle, size = rng.normal(0, np.radians(8)), np.exp(rng.normal(0, 0.2))
    turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = poses[..., :2].mean((0, 1))
    out = poses.copy()
    out[..., :2] = (poses[..., :2] - centre) @ turn.T + centre + rng.normal(0, 0.08, 2)
    out[..., 2] *= size
    palm = np.linalg.norm(poses[..., 9, :2] - poses[..., 0, :2], axis=-1).max()
    return out + rng.normal(0, 0.01 * palm, poses.shape)
