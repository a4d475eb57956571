"""What a camera and a pose estimator make of a moving hand: projection, then MediaPipe-like errors."""

import numpy as np

import hand
from motion import POSES

PALM = [0, 5, 9, 13, 17]


def project(m):
    """Exact poses (n, POSES, 21, 3): x right, y down, z away from the camera, in frame widths."""
    rng, n = m.rng, m.n
    local = hand.pose(m.person, m.shape)
    pivot = np.zeros((n, 1, 1, 3), np.float32)
    pivot[..., 1] = m.pivot[:, None, None]
    turned = (local + pivot) @ hand.rotation(m.turn).swapaxes(-1, -2) - pivot
    # The pivot belongs to the arm: keep the mean hand where it would be with the wrist as pivot.
    points = turned + m.move[:, :, None]
    middle = points[..., PALM, :].mean((1, 2), keepdims=True)
    points = points - middle

    tilt = np.stack([rng.normal(0, 0.08, n), rng.normal(0.02, 0.2, n), rng.normal(0, 0.09, n)], -1)
    points = points @ hand.rotation(tilt).swapaxes(-1, -2).astype(np.float32)[:, None]

    focal = 0.5 / np.tan(np.radians(rng.uniform(42, 88, n)) / 2)
    height = rng.choice([0.75, 0.5625, 1.3333, 1.7778], n, p=[0.5, 0.32, 0.08, 0.1])
    size = np.exp(rng.uniform(np.log(0.07), np.log(0.62), n)) * np.where(height > 1, 1.35, 1.0)
    travel = np.ptp(points[:, :, 9, :2], axis=1).max(-1)
    size = np.minimum(size, 1.5 / (1 + travel))
    distance = np.maximum(focal / size, 1.9)
    u = rng.uniform(0.2, 0.8, n) - 0.5
    v = height * (rng.uniform(0.2, 0.85, n) - 0.5)
    # An entering hand is first seen at the edge it comes in by.
    seen = points[np.arange(n), m.first, 9]
    edge = height * 0.5 - rng.uniform(-0.1, 0.25, n) * size
    v = np.where(m.on_edge, edge + seen[:, 1] * size, v)

    # `grow` is relative to the window's middle, so that neither end is always near.
    depth = distance[:, None] * np.exp(-(m.grow - m.grow.mean(1, keepdims=True)))
    z = np.maximum(points[..., 2] + depth[..., None], 0.7)
    x = points[..., 0] + (u * distance / focal)[:, None, None]
    y = -points[..., 1] + (v * distance / focal)[:, None, None]
    out = np.empty_like(points)
    f = focal[:, None, None]
    out[..., 0] = 0.5 + f * x / z
    out[..., 1] = 0.5 * height[:, None, None] + f * y / z
    out[..., 2] = f * (points[..., 2] - points[..., :1, 2]) / z[..., :1]
    return out


def estimate(rng, exact):
    """The poses as an estimator reports them: bias, jitter that lasts, worse when fast or hidden, a poor z."""
    n = len(exact)
    palm = np.linalg.norm(exact[..., 9, :2] - exact[..., 0, :2], axis=-1)
    across = np.linalg.norm(exact[..., 5, :2] - exact[..., 17, :2], axis=-1)
    size = np.maximum(palm, 1.4 * across).max(1)[:, None, None, None] * 1.9

    def level(low, high):
        return np.exp(rng.uniform(np.log(low), np.log(high), (n, 1, 1, 1)))

    bias = rng.normal(0, 1, (n, 1, 21, 3)) * level(0.004, 0.03)
    jitter = lasting(rng, n, rng.uniform(0.1, 0.9, n)) * level(0.002, 0.016)
    # Joints behind the palm, and hands on the move, are guessed.
    depth = exact[..., 2:3] / size
    hidden = np.clip(depth * 2.0, 0, 1)
    speed = np.zeros((n, POSES, 1, 1))
    speed[:, 1:, 0, 0] = np.linalg.norm(np.diff(exact[..., 9, :2], axis=1), axis=-1) / size[:, 0, 0]
    error = bias * (1 + 1.5 * hidden) + jitter * (1 + 2 * hidden + 6 * np.minimum(speed, 0.3))
    whole = lasting(rng, n, rng.uniform(0.0, 0.8, n))[:, :, :1] * level(0.001, 0.01)
    out = exact + (error + whole) * size * [1, 1, 2.5]

    # Depth is the estimator's guess: its scale is off, and some poses lie almost flat.
    gain = np.exp(rng.normal(-0.1, 0.3, (n, 1, 1)))
    gain = np.where(rng.random((n, 1, 1)) < 0.12, gain * rng.uniform(0, 0.3, (n, 1, 1)), gain)
    out[..., 2] = (out[..., 2] - out[..., :1, 2]) * gain

    # Single poses that are wrong altogether.
    for _ in range(2):
        wrong = np.flatnonzero(rng.random(n) < 0.06)
        at = rng.integers(0, POSES, len(wrong))
        out[wrong, at] += rng.normal(0, 0.12, (len(wrong), 21, 3)) * size[wrong, 0] * rng.uniform(0.2, 1, (len(wrong), 1, 1))
    return lag(rng, out)


def lasting(rng, n, memory):
    """Unit noise per joint that remembers its last value, (n, POSES, 21, 3)."""
    white = rng.standard_normal((n, POSES, 21, 3), dtype=np.float32)
    keep = memory[:, None, None]
    fresh = np.sqrt(1 - keep**2)
    for t in range(1, POSES):
        white[:, t] = keep * white[:, t - 1] + fresh * white[:, t]
    return white


def lag(rng, poses):
    """Half of the poses went through a smoothing filter."""
    n = len(poses)
    follow = np.where(rng.random(n) < 0.5, 1.0, rng.uniform(0.45, 1.0, n))[:, None, None]
    for t in range(1, POSES):
        poses[:, t] = poses[:, t - 1] * (1 - follow) + poses[:, t] * follow
    return poses


def pad(poses, first):
    """Repeat the first real pose at the front, as the daemon does for a hand that has only just appeared."""
    index = np.maximum(np.arange(POSES)[None], first[:, None])
    return np.take_along_axis(poses, index[:, :, None, None], 1)
