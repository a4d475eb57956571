"""A kinematic hand: joint angles in, 21 points out.

Points follow MediaPipe's order: wrist, then thumb, index, middle, ring and little finger from root to tip.
The hand's own frame is right-handed, in hand lengths (wrist to the tip of the straight middle finger):
x to the user's right, y along the fingers, z towards the user. A right hand at rest shows its palm to the
camera (-z) with its thumb at -x.

A shape is a vector of `SHAPE` numbers, angles in degrees:
    0..15   four per finger, index to little: abduction (towards the thumb), flexion of MCP, PIP, DIP
    16..21  thumb: azimuth (from along the fingers towards the thumb's side) and elevation (towards the
            palm's side) of its three bones
    22, 23  how far the thumb's tip is drawn to the index tip, and to the middle of index and middle tips (0..1)
"""

import numpy as np

SHAPE = 24
ABDUCTION = np.array([0, 4, 8, 12])
MCP, PIP, DIP = ABDUCTION + 1, ABDUCTION + 2, ABDUCTION + 3
THUMB = np.arange(16, 22)
TOUCH, BUNCH = 22, 23

# Knuckles (MCP) and the thumb's root in the palm's plane; bones of each finger; all in hand lengths.
KNUCKLES = np.array([[-0.140, 0.490, 0.0], [-0.020, 0.500, -0.01], [0.085, 0.470, 0.0], [0.175, 0.415, 0.015]])
THUMB_ROOT = np.array([-0.135, 0.135, -0.05])
BONES = np.array([[0.225, 0.130, 0.115], [0.250, 0.155, 0.125], [0.230, 0.145, 0.125], [0.180, 0.105, 0.110]])
THUMB_BONES = np.array([0.215, 0.165, 0.140])

LOWEST = np.zeros(SHAPE)
HIGHEST = np.zeros(SHAPE)
LOWEST[ABDUCTION], HIGHEST[ABDUCTION] = -28, 28
LOWEST[MCP], HIGHEST[MCP] = -25, 95
LOWEST[PIP], HIGHEST[PIP] = -8, 118
LOWEST[DIP], HIGHEST[DIP] = -12, 85
LOWEST[16:22:2], HIGHEST[16:22:2] = [5, -60, -110], [85, 100, 115]
LOWEST[17:22:2], HIGHEST[17:22:2] = [-15, -25, -35], [70, 75, 85]
HIGHEST[TOUCH] = HIGHEST[BUNCH] = 1

STRAIGHT, FOLDED = (2, 6, 4), (80, 100, 62)
THUMB_OUT = (48, 18, 42, 14, 38, 12)
THUMB_IN = (30, 34, -18, 42, -50, 30)
THUMB_ALONG = (30, 15, 14, 12, 8, 10)
THUMB_ROUND = (50, 22, 16, 28, -10, 24)
THUMB_UP = (62, 12, 70, 8, 76, 4)


def shape(index, middle, ring, little, thumb, spread=(9, 2, -6, -13), touch=0.0, bunch=0.0):
    """Build one shape vector; each finger is a (MCP, PIP, DIP) triple."""
    v = np.zeros(SHAPE)
    for f, flexion in enumerate((index, middle, ring, little)):
        v[4 * f] = spread[f]
        v[4 * f + 1 : 4 * f + 4] = flexion
    v[THUMB] = thumb
    v[TOUCH], v[BUNCH] = touch, bunch
    return v


TOGETHER = (2, 0, -1, -3)
SHAPES = {
    "open-palm": shape(STRAIGHT, STRAIGHT, STRAIGHT, STRAIGHT, THUMB_OUT),
    "fist": shape(FOLDED, FOLDED, FOLDED, FOLDED, THUMB_IN, TOGETHER),
    "point": shape(STRAIGHT, FOLDED, FOLDED, FOLDED, THUMB_IN, TOGETHER),
    "loose-fist": shape((55, 82, 42), (66, 88, 48), (72, 92, 52), (74, 90, 50), (30, 30, 0, 34, -25, 28), TOGETHER),
    # Fingers rolled in, knuckles hardly bent: how people's fists look from the front.
    "rolled-fist": shape((24, 108, 66), (30, 110, 68), (34, 110, 68), (36, 106, 64), THUMB_ALONG, (6, 1, -4, -10)),
    "side-fist": shape((74, 94, 55), FOLDED, FOLDED, FOLDED, (26, 24, 10, 24, -8, 20), TOGETHER),
    "loose-point": shape((6, 12, 8), (62, 84, 44), (68, 88, 48), (70, 86, 46), (32, 28, 4, 34, -18, 28), TOGETHER),
    "thumb": shape(FOLDED, FOLDED, FOLDED, FOLDED, THUMB_UP, TOGETHER),
    "victory": shape(STRAIGHT, STRAIGHT, FOLDED, FOLDED, THUMB_IN, (12, -8, -2, -4)),
    "ok": shape((52, 58, 28), (16, 14, 8), (8, 10, 6), (4, 8, 6), (38, 34, 22, 36, 8, 30), (2, 1, -6, -14), touch=1.0),
    "i-love-you": shape(STRAIGHT, FOLDED, FOLDED, STRAIGHT, THUMB_OUT, (6, 1, -2, -12)),
    "flat-palm": shape(STRAIGHT, STRAIGHT, STRAIGHT, STRAIGHT, THUMB_ALONG, TOGETHER),
    "loose-palm": shape((12, 14, 8), (12, 14, 8), (12, 16, 8), (12, 16, 10), (40, 20, 30, 18, 24, 14), (6, 1, -4, -9)),
    # Shapes that are not ours.
    "relaxed": shape((22, 30, 16), (28, 36, 18), (32, 40, 20), (34, 38, 20), THUMB_ALONG, (3, 0, -2, -5)),
    "half-curled": shape((45, 55, 30), (50, 60, 32), (52, 62, 34), (52, 60, 32), (36, 26, 18, 28, 4, 24), TOGETHER),
    "call": shape(FOLDED, FOLDED, FOLDED, STRAIGHT, THUMB_OUT, (2, 1, -2, -14)),
    "horns": shape(STRAIGHT, FOLDED, FOLDED, STRAIGHT, THUMB_IN, (4, 1, -2, -8)),
    "gun": shape(STRAIGHT, FOLDED, FOLDED, FOLDED, THUMB_OUT, TOGETHER),
    "three": shape(STRAIGHT, STRAIGHT, STRAIGHT, FOLDED, THUMB_IN, (10, 1, -8, -4)),
    "three-thumb": shape(STRAIGHT, STRAIGHT, FOLDED, FOLDED, THUMB_OUT, (12, -4, -2, -4)),
    "four": shape(STRAIGHT, STRAIGHT, STRAIGHT, STRAIGHT, THUMB_IN),
    "little": shape(FOLDED, FOLDED, FOLDED, STRAIGHT, THUMB_IN, (2, 1, -2, -10)),
    "middle": shape(FOLDED, STRAIGHT, FOLDED, FOLDED, THUMB_IN, TOGETHER),
    "spock": shape(STRAIGHT, STRAIGHT, STRAIGHT, STRAIGHT, THUMB_OUT, (8, 9, -12, -13)),
    "two-together": shape(STRAIGHT, STRAIGHT, FOLDED, FOLDED, THUMB_IN, (0, 2, -2, -4)),
    "claw": shape((10, 70, 45), (10, 72, 45), (10, 72, 45), (10, 70, 45), (45, 30, 30, 34, 10, 30)),
    "hook": shape((5, 85, 55), FOLDED, FOLDED, FOLDED, THUMB_IN, TOGETHER),
    "cup": shape((55, 20, 12), (60, 22, 12), (60, 24, 12), (58, 22, 12), (40, 50, 30, 55, 22, 50), TOGETHER),
    "pinched": shape((50, 50, 25), (62, 66, 36), (68, 72, 40), (70, 72, 40), (38, 36, 22, 38, 8, 32), TOGETHER, touch=1.0),
    "bunched": shape((58, 34, 16), (60, 34, 16), (60, 34, 16), (56, 34, 16), (40, 50, 28, 55, 18, 50), (-4, 0, 4, 10), bunch=1.0),
    "gap": shape((28, 34, 18), (66, 72, 40), (72, 78, 42), (74, 78, 42), (46, 26, 38, 24, 32, 20), TOGETHER),
    "loose-pinched": shape((48, 50, 24), (40, 50, 22), (42, 52, 22), (42, 50, 22), (30, 46, 18, 40, 6, 30), (3, 1, -3, -7), touch=1.0),
    "loose-gap": shape((14, 14, 4), (40, 50, 22), (42, 52, 22), (42, 50, 22), (54, 26, 46, 24, 40, 20), (8, 1, -3, -7)),
    "wide-gap": shape((8, 12, 6), (66, 72, 40), (72, 78, 42), (74, 78, 42), (58, 22, 54, 18, 50, 14), TOGETHER),
}


class Person:
    """Bone lengths, looseness and handedness of `n` hands."""

    def __init__(self, rng, n):
        def scale(sd, *size):
            return np.exp(rng.normal(0, sd, (n, *size)))

        width = scale(0.08, 1, 1)
        self.knuckles = KNUCKLES * np.concatenate([width, scale(0.05, 1, 1), scale(0.3, 1, 1)], -1) * scale(0.03, 4, 1)
        self.bones = BONES * scale(0.07, 1, 1) * scale(0.05, 4, 1) * scale(0.07, 4, 3)
        self.thumb_root = THUMB_ROOT * scale(0.12, 3)
        self.thumb_bones = THUMB_BONES * scale(0.08, 1) * scale(0.08, 3)
        # How far apart the joints of touching tips stay.
        self.flesh = rng.uniform(0.03, 0.13, n)
        self.left = rng.random(n) < 0.5


def pose(person, shapes):
    """Points (n, t, 21, 3) of shapes (n, t, SHAPE), in hand lengths, wrist at the origin."""
    return joints(person, shapes).transpose(3, 2, 1, 0)


def joints(person, shapes):
    """The same as (3, 21, t, n): hands last, so that what differs by hand is one contiguous row."""
    n, t, _ = shapes.shape
    shapes = np.ascontiguousarray(np.clip(shapes, LOWEST, HIGHEST).transpose(2, 1, 0), np.float32)
    angle = np.radians(shapes[:22])
    points = np.zeros((3, 21, t, n), np.float32)
    row = lambda a: np.asarray(a, np.float32)
    for f in range(4):
        side, bend = angle[4 * f], np.cumsum(angle[4 * f + 1 : 4 * f + 4], 0)
        # A bent finger loses its spread.
        side = side * np.clip(np.cos(bend[0]), 0, 1)
        sine, cosine = np.sin(side), np.cos(side)
        points[:, 5 + 4 * f] = row(person.knuckles[:, f]).T[:, None]
        for b in range(3):
            length = row(person.bones[:, f, b])
            flat = np.cos(bend[b]) * length
            at, last = points[:, 6 + 4 * f + b], points[:, 5 + 4 * f + b]
            at[0] = last[0] - sine * flat
            at[1] = last[1] + cosine * flat
            at[2] = last[2] - np.sin(bend[b]) * length
    points[:, 1] = row(person.thumb_root).T[:, None]
    for b in range(3):
        azimuth, elevation = angle[16 + 2 * b], angle[17 + 2 * b]
        length = row(person.thumb_bones[:, b])
        flat = np.cos(elevation) * length
        at, last = points[:, 2 + b], points[:, 1 + b]
        at[0] = last[0] - np.sin(azimuth) * flat
        at[1] = last[1] + np.cos(azimuth) * flat
        at[2] = last[2] - np.sin(elevation) * length
    reach_thumb(person, points, shapes[TOUCH], shapes[BUNCH])
    points[0][..., person.left] *= -1
    return points


def reach_thumb(person, points, touch, bunch):
    """Draw the thumb's tip to the fingertips (FABRIK, the root stays)."""
    reach = np.clip(np.maximum(touch, bunch), 0, 1)
    moves = (reach > 0.01).any(0)
    if not moves.any():
        return
    chain = points[:, 1:5, :, moves]
    length = np.asarray(person.thumb_bones[moves].T, np.float32)
    share = (bunch / np.maximum(touch + bunch, 1e-6))[:, moves]
    index, middle = points[:, 8, :, moves].transpose(1, 2, 0), points[:, 12, :, moves].transpose(1, 2, 0)
    goal = index * (1 - 0.5 * share) + middle * 0.5 * share
    goal += np.array([-0.45, -0.5, -0.74], np.float32)[:, None, None] * person.flesh[moves].astype(np.float32)
    goal = chain[:, 3] + (goal - chain[:, 3]) * reach[:, moves]
    root = chain[:, 0].copy()
    for _ in range(5):
        chain[:, 3] = goal
        for b in (2, 1, 0):
            chain[:, b] = chain[:, b + 1] + towards(chain[:, b + 1], chain[:, b], 0) * length[b]
        chain[:, 0] = root
        for b in (0, 1, 2):
            chain[:, b + 1] = chain[:, b] + towards(chain[:, b], chain[:, b + 1], 0) * length[b]
    points[:, 1:5, :, moves] = chain


def towards(a, b, axis=-1):
    d = b - a
    return d / np.sqrt(np.maximum((d * d).sum(axis, keepdims=True), 1e-18))


def rotation(angles):
    """Matrices (..., 3, 3) from yaw, pitch, roll in radians: first about y, then x, then z."""
    return np.stack([np.stack(r, -1) for r in rotation_rows(*np.moveaxis(angles, -1, 0))], -2)


def rotation_rows(yaw, pitch, roll):
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    return [
        [cr * cy - sr * sp * sy, -sr * cp, cr * sy + sr * sp * cy],
        [sr * cy + cr * sp * sy, cr * cp, sr * sy - cr * sp * cy],
        [-cp * sy, sp, cp * cy],
    ]


def turn(rows, points):
    """Rotate points (3, ...) by `rotation_rows`."""
    x, y, z = points
    return np.stack([a * x + b * y + c * z for a, b, c in rows])
