"""What a camera and a pose estimator make of a moving hand: projection, then errors as the pose pipeline has them.

Arrays are (3, 21, POSES, n) here: what differs by hand is the last axis. The errors' directions and their
dependence on size and speed were measured (`noise.py`, `noise.json`); people's hands are harder than the drawn
one, so that the levels also go beyond what was measured.
"""

import json
import pathlib

import numpy as np

import hand
from motion import POSES

PALM = [0, 5, 9, 13, 17]
MEASURED = json.loads((pathlib.Path(__file__).resolve().parent / "noise.json").read_text())


def rows(name):
    return np.asarray(MEASURED[name], np.float32)


def project(m):
    """Exact poses (3, 21, POSES, n): x right, y down, z away from the camera, in frame widths."""
    rng, n = m.rng, m.n
    row = lambda a: np.asarray(a, np.float32)
    points = hand.joints(m.person, m.shape)
    pivot = row(m.pivot)
    points[1] += pivot
    points = hand.turn(hand.rotation_rows(*np.ascontiguousarray(m.turn.transpose(2, 1, 0))), points)
    points[1] -= pivot
    points += np.ascontiguousarray(m.move.transpose(2, 1, 0))[:, None]
    # The pivot belongs to the arm: keep the mean hand where it would be with the wrist as pivot.
    points -= points[:, PALM].mean((1, 2), keepdims=True)
    tilt = [row(rng.normal(centre, sd, n)) for centre, sd in ((0, 0.08), (0.02, 0.2), (0, 0.09))]
    points = hand.turn(hand.rotation_rows(*tilt), points)

    focal = 0.5 / np.tan(np.radians(rng.uniform(42, 88, n)) / 2)
    height = rng.choice([0.75, 0.5625, 1.3333, 1.7778], n, p=[0.5, 0.32, 0.08, 0.1])
    size = np.exp(rng.uniform(np.log(0.07), np.log(0.62), n)) * np.where(height > 1, 1.35, 1.0)
    travel = np.ptp(points[:2, 9], axis=1).max(0)
    size = np.minimum(size, 1.5 / (1 + travel))
    distance = np.maximum(focal / size, 1.9)
    u = rng.uniform(0.2, 0.8, n) - 0.5
    v = height * (rng.uniform(0.2, 0.85, n) - 0.5)
    # An entering hand is first seen at the edge it comes in by.
    seen = points[1, 9, m.first, np.arange(n)]
    edge = height * 0.5 - rng.uniform(-0.1, 0.25, n) * size
    v = np.where(m.on_edge, edge + seen * size, v)

    # `grow` is relative to the window's middle, so that neither end is always near.
    depth = row(distance) * np.exp(-(m.grow - m.grow.mean(1, keepdims=True))).astype(np.float32).T
    scale = row(focal) / np.maximum(points[2] + depth, 0.7)
    out = np.empty_like(points)
    out[0] = 0.5 + scale * (points[0] + row(u * distance / focal))
    out[1] = row(0.5 * height) - scale * (points[1] - row(v * distance / focal))
    out[2] = (points[2] - points[2, :1]) * scale[:1]
    return out


def hand_length(exact):
    """How long each hand looks (n,), whichever way it is turned."""
    span = lambda a, b: np.sqrt(((exact[:2, a] - exact[:2, b]) ** 2).sum(0))
    return np.maximum(span(0, 9), 1.4 * span(5, 17)).max(0) * np.float32(1.9)


def estimate(m, exact):
    """The poses as an estimator reports them."""
    rng, n = m.rng, m.n
    row = lambda a: np.asarray(a, np.float32)
    up = exact[:2, 9] - exact[:2, 0]
    palm = np.sqrt((up * up).sum(0))
    size = hand_length(exact)
    up = up / np.maximum(palm, 1e-6)
    step = np.zeros((POSES, n), np.float32)
    step[1:] = np.sqrt(((exact[:2, 9, 1:] - exact[:2, 9, :-1]) ** 2).sum(0)) / np.maximum(size, 1e-6)

    # Bias: measured mean and directions, and what each joint has of its own.
    level = np.exp(rng.uniform(np.log(0.3), np.log(1.6), n))
    drawn = lambda *shape: rng.standard_normal(shape, dtype=np.float32)
    mean, kept, rest = rows("bias_mean"), rows("bias_components"), rows("bias_rest")
    bias = (rng.uniform(-0.5, 1.2, n)[None] * mean[:, None] + kept.T @ drawn(len(kept), n) + rest[:, None] * drawn(63, n)) * level
    # Jitter: lasts for a while, worse when fast.
    kept, rest, law = rows("jitter_components"), rows("jitter_rest"), MEASURED["jitter_level"]
    low, middle, high = MEASURED["jitter_memory"]
    memory = np.clip(rng.triangular(low - 0.1, middle, high + 0.1, n), 0, 0.97)
    parts = lasting(drawn(len(kept), POSES, n), memory)
    own = lasting(drawn(63, POSES, n), memory) * rest[:, None, None]
    jitter = np.tensordot(kept.T, parts, 1) + own
    level = np.exp(law["intercept"] + law["log_size"] * np.log(size) + law["spread"] * rng.normal(0, 1, n)) * rng.uniform(0.6, 2.5, n)
    level *= np.where(rng.random(n) < 0.35, rng.uniform(1, 4.5, n), 1.0)
    jitter *= row(level) * np.exp(np.minimum(law["speed"] * 15 * step, 1.5))
    error = (jitter + row(bias)[:, None]).reshape(21, 3, POSES, n)
    # Errors were measured with the thumb's side as x.
    across, along = error[:, 0] * row(-m.side), error[:, 1]
    out = np.empty_like(exact)
    out[0] = exact[0] + (across * -up[1] + along * up[0]) * size
    out[1] = exact[1] + (across * up[0] + along * up[1]) * size

    # Depth is the estimator's guess: its scale is off, and some poses lie almost flat.
    low, middle, high = MEASURED["depth_gain"]
    gain = rng.triangular(min(low, 0.5), middle, max(high, 1.3), n)
    gain = np.where(rng.random(n) < 0.15, gain * rng.uniform(0, 0.3, n), gain)
    out[2] = exact[2] * row(gain) + error[:, 2] * size
    out[2] *= row(rng.random(n) > 0.2)
    out[2] -= out[2, :1].copy()

    # Single poses that are wrong altogether, and poses that are missing: the daemon draws a line across.
    for _ in range(2):
        wrong = np.flatnonzero(rng.random(n) < 0.06)
        at = rng.integers(0, POSES, len(wrong))
        out[:, :, at, wrong] += (rng.normal(0, 0.12, (3, 21, len(wrong))) * size[wrong] * rng.uniform(0.2, 1, len(wrong))).astype(np.float32)
    for _ in range(2):
        for k in np.flatnonzero(rng.random(n) < 0.08):
            a = rng.integers(0, POSES - 2)
            b = min(a + rng.integers(2, 6), POSES - 1)
            w = (np.arange(a, b + 1) - a) / (b - a)
            out[:, :, a : b + 1, k] = out[:, :, a, k, None] * (1 - w) + out[:, :, b, k, None] * w
    return ill_begun(m, lag(rng, out))


def ill_begun(m, poses):
    """The first pose of some hands that have only just been found lies somewhere beside the hand: what a palm detector gives, or
    a frame of long ago."""
    rng = m.rng
    ill = np.flatnonzero((m.first > 0) & (rng.random(m.n) < 0.4))
    first = poses[:2, :, m.first[ill], ill]
    centre = first.mean(1, keepdims=True)
    size = np.ptp(first, axis=1).max(0)
    far = np.exp(rng.uniform(np.log(0.1), np.log(1.2), len(ill))) * size
    angle = rng.uniform(-np.pi, np.pi, len(ill))
    away = far * np.stack([np.cos(angle), np.sin(angle)])
    growth = np.exp(rng.normal(0, 0.45, len(ill)))
    wrong = rng.normal(0, 0.08, first.shape) * size
    poses[:2, :, m.first[ill], ill] = centre + away[:, None] + (first - centre) * growth + wrong
    return poses


def lasting(white, memory):
    """Unit noise (k, POSES, n) that remembers its last value."""
    keep = memory.astype(np.float32)
    fresh = np.sqrt(1 - keep**2)
    for t in range(1, POSES):
        white[:, t] = keep * white[:, t - 1] + fresh * white[:, t]
    return white


def lag(rng, poses):
    """Half of the poses went through a smoothing filter."""
    n = poses.shape[-1]
    follow = np.where(rng.random(n) < 0.5, 1.0, rng.uniform(0.45, 1.0, n)).astype(np.float32)
    for t in range(1, POSES):
        poses[:, :, t] += (1 - follow) * (poses[:, :, t - 1] - poses[:, :, t])
    return poses


def pad(poses, first):
    """(n, POSES, 21, 3): the first real pose is repeated at the front, as the daemon does for a hand that has only just appeared."""
    poses = np.ascontiguousarray(poses.transpose(3, 2, 1, 0))
    for k in np.flatnonzero(first):
        poses[k, : first[k]] = poses[k, first[k]]
    return poses
