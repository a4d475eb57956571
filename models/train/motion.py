"""Motions: what a hand does during a window of two seconds, one recipe for each label and kind of `none`.

Time runs to the window's last pose at 0 s. A recipe fills a `Motion` of `n` hands at once. Displacements are
in hand lengths in the user's own view (x right, y up, z towards the user), angles in radians.

A movement is labelled from its (near) completion until half a second after; then it is nobody's (not
drawn) for a while, then `none`. Whatever nuisance a label gets - arrival, carrying, sway, padding -
every kind of `none` gets as well, or the nuisance itself becomes evidence.
"""

import numpy as np

import hand
from hand import SHAPES

POSES, RATE_HZ = 30, 15
TIME = ((np.arange(POSES) - (POSES - 1)) / RATE_HZ).astype(np.float32)
YAW, PITCH, ROLL = 0, 1, 2

# The shapes of each label that is held, as people make them.
HELD = {
    "open-palm": ["open-palm", "open-palm", "flat-palm", "loose-palm"],
    "fist": ["fist", "fist", "loose-fist", "loose-fist", "side-fist", "rolled-fist", "rolled-fist", "rolled-fist"],
    "point-up": ["point", "point", "loose-point"],
    "thumb-up": ["thumb"],
    "thumb-down": ["thumb"],
    "victory": ["victory", "victory", "two-together"],
    "ok": ["ok"],
    "i-love-you": ["i-love-you"],
}
KNOWN = [names[0] for names in HELD.values()]
# The labels whose shapes people stroke with.
STROKED_WITH = {"open-palm", "fist", "point-up"}
OTHER = [
    "relaxed", "half-curled", "call", "horns", "three", "three-thumb", "little", "middle",
    "claw", "hook", "cup", "pinched", "bunched", "gap", "wide-gap",
    "loose-pinched", "loose-gap",
]  # fmt: skip
SWIPING = ["open-palm", "relaxed", "four", "half-curled", "point", "gun", "fist", "cup", "hook"]
SWIPING_SHARE = [0.21, 0.17, 0.07, 0.07, 0.23, 0.06, 0.13, 0.03, 0.03]
DIRECTIONS = {"swipe-left": 180.0, "swipe-right": 0.0, "swipe-up": 90.0, "swipe-down": -90.0}


class Motion:
    """What `n` hands do: shapes, orientation, displacement and growth of each pose."""

    def __init__(self, rng, n):
        self.rng, self.n = rng, n
        self.person = hand.Person(rng, n)
        self.side = np.where(self.person.left, -1.0, 1.0)
        self.shape = np.zeros((n, POSES, hand.SHAPE), np.float32)
        self.turn = np.zeros((n, POSES, 3), np.float32)
        self.move = np.zeros((n, POSES, 3), np.float32)
        self.grow = np.zeros((n, POSES), np.float32)
        # Distance below the wrist of the point that rotations leave in place: 0 the wrist, 1.4 the elbow.
        self.pivot = rng.choice([0.0, 0.0, 0.5, 1.3], n) * rng.uniform(0.7, 1.2, n)
        # Direction in degrees, start and end of a stroke that must be seen.
        self.stroke = None
        # The first pose that is real; everything before repeats it.
        self.first = np.zeros(n, int)
        self.on_edge = np.zeros(n, bool)

    # Draws, one per hand.
    def uniform(self, low, high):
        return self.rng.uniform(low, high, self.n)

    def log_uniform(self, low, high):
        return np.exp(self.rng.uniform(np.log(low), np.log(high), self.n))

    def normal(self, sd):
        return self.rng.normal(0, sd, self.n)

    def chance(self, p):
        return self.rng.random(self.n) < p

    def sign(self):
        return self.rng.choice([-1.0, 1.0], self.n)

    def drawn_shapes(self, names, share=None, looseness=7.0):
        """One shape each, drawn from `names`, with the person's own way of making it."""
        table = np.stack([SHAPES[name] for name in names])
        v = table[self.rng.choice(len(names), self.n, p=share)]
        spread = np.full(hand.SHAPE, looseness)
        spread[hand.ABDUCTION] = 4
        spread[hand.TOUCH :] = 0
        common = self.rng.normal(0, 0.6 * looseness, (self.n, 1)) * np.isin(np.arange(hand.SHAPE), [*hand.MCP, *hand.PIP])
        return v + self.rng.normal(0, 1, v.shape) * spread + common


def blend(start, duration, early=None):
    """0 before `start`, 1 after `start + duration`, minimum jerk between; (n, POSES)."""
    u = np.clip((TIME - start[:, None]) / np.maximum(duration, 1e-3)[:, None], 0, 1)
    if early is not None:
        u = u ** early[:, None]
    return u**3 * (10 - 15 * u + 6 * u * u)


def bump(start, duration):
    """A smooth hill from 0 to 1 and back."""
    u = np.clip((TIME - start[:, None]) / np.maximum(duration, 1e-3)[:, None], 0, 1)
    return np.sin(np.pi * u) ** 2


def smooth(rng, n, channels, low_hz, high_hz):
    """Smooth noise of unit deviation, (n, POSES, channels)."""
    total = np.zeros((n, POSES, channels), np.float32)
    for _ in range(3):
        hz, phase, size = rng.random((3, n, 1, channels), np.float32)
        turns = np.float32(2 * np.pi) * (low_hz + (high_hz - low_hz) * hz) * TIME[:, None]
        turns += np.float32(2 * np.pi) * phase
        np.sin(turns, out=turns)
        turns *= (0.4 + 0.7 * size) * np.float32(1 / 1.1)
        total += turns
    return total


def sway(m, amount=1.0):
    """Nobody is still: slow sway, tremor and slack of every hand."""
    rng, n = m.rng, m.n
    slow = m.log_uniform(0.004, 0.06)[:, None, None] * amount
    m.move += smooth(rng, n, 3, 0.1, 0.7) * slow
    m.turn += smooth(rng, n, 3, 0.1, 0.8) * m.log_uniform(0.01, 0.08)[:, None, None] * amount
    m.shape[..., :22] += smooth(rng, n, 22, 0.1, 0.9) * m.log_uniform(0.4, 4.0)[:, None, None] * amount
    tremor = m.chance(0.25)[:, None, None] * m.log_uniform(0.004, 0.02)[:, None, None]
    m.move += smooth(rng, n, 3, 3.0, 6.5) * tremor


def carry(m, p=0.45):
    """Some hands are carried about while they hold a shape: drift, wander, a slow turn."""
    rng, n = m.rng, m.n
    drift = rng.normal(0, 1, (n, 1, 3)) * (m.chance(p * 0.5) * m.log_uniform(0.05, 0.6))[:, None, None]
    m.move += drift * TIME[None, :, None]
    wander = (m.chance(p * 0.7) * m.log_uniform(0.03, 0.45))[:, None, None]
    # Slow enough not to draw circles.
    m.move += smooth(rng, n, 3, 0.15, 0.45) * wander
    m.grow += smooth(rng, n, 1, 0.15, 0.6)[..., 0] * (m.chance(p * 0.5) * m.log_uniform(0.01, 0.12))[:, None]
    wobble = (m.chance(p * 0.7) * m.log_uniform(0.04, 0.3))[:, None, None]
    m.turn += smooth(rng, n, 3, 0.2, 0.9) * wobble


def face(m, roll=31, yaw=38, pitch=24, back=0.2):
    """Upright-ish towards the camera; some show the back of the hand. Degrees."""
    base = np.stack([m.normal(yaw), m.normal(pitch) - 6, m.normal(roll)], -1)
    base = np.clip(base, [-69, -54, -65], [69, 48, 65])
    base[m.chance(back), YAW] += 180
    m.turn += np.radians(base)[:, None]


def anyhow(m, upright=0.6):
    """Any natural orientation: mostly upright, some hanging, sideways or pointing at the camera. Degrees."""
    up = m.chance(upright)
    base = np.stack([m.uniform(-100, 100), m.uniform(-70, 50), np.where(up, m.normal(32), m.uniform(-180, 180))], -1)
    base[m.chance(0.2), YAW] += 180
    m.turn += np.radians(base)[:, None]


def aim(m, tip, root, off_up_deg):
    """Roll each hand so that `root` to `tip` points `off_up_deg` away from up in the picture, at the last pose."""
    points = hand.pose(m.person, m.shape[:, -1:])[:, 0]
    axis = points[:, tip] - points[:, root]
    turned = np.einsum("nij,nj->ni", hand.rotation(m.turn[:, -1] * [1, 1, 0]), axis)
    now = np.arctan2(turned[:, 1], turned[:, 0])
    roll = np.radians(90 + off_up_deg) - now
    m.turn[..., ROLL] += (roll - m.turn[:, -1, ROLL])[:, None]


def arrive(m, hold, before, far=1.5):
    """The shape was taken up `hold` seconds ago; before that another one, elsewhere, turned otherwise."""
    rng, n = m.rng, m.n
    took = m.uniform(0.12, 0.5)
    w = blend(-hold - took, took, m.uniform(0.7, 1.4))[..., None]
    m.shape[:] = before[:, None] * (1 - w) + m.shape * w
    # A quick arrival would be a stroke, unless it is long past.
    travel = m.chance(0.6) * m.log_uniform(0.05, far)
    travel = np.where(hold > 0.95, travel, np.minimum(travel, 0.9 * took))
    away = rng.normal(0, 1, (n, 1, 3)) * [0.6, 0.8, 0.2] * travel[:, None, None]
    m.move += away * (1 - w)
    m.turn += rng.normal(0, 0.35, (n, 1, 3)) * (1 - w) * m.chance(0.6)[:, None, None]


def cut(m, latest=None, p=0.3):
    """Some hands have only just appeared: at least eight real poses, and not later than `latest` (seconds)."""
    room = np.full(m.n, POSES - 8) if latest is None else np.clip(np.floor((latest + 2.0) * RATE_HZ).astype(int), 0, POSES - 8)
    first = (m.rng.random(m.n) * (room + 1)).astype(int)
    # Often the cut is as late as it may be: a recording that begins with the movement itself.
    first = np.where(m.chance(0.35), room, first)
    m.first = np.where(m.chance(p), first, m.first)


def holds_known_shape(m):
    """Whether a known shape is shown, the right way up, and has been for a moment: never `none`."""
    last = m.shape[:, -3:]
    bend = last[..., hand.MCP] + last[..., hand.PIP]
    steady = (np.ptp(bend, axis=1) < 30).all(1)
    bend = bend.mean(1)
    straight, folded = bend < 55, bend > 125
    last = last.mean(1)
    thumb_out = last[:, 18] > 12
    ok = (last[:, hand.TOUCH] > 0.6) & straight[:, 2] & straight[:, 3]
    point = straight[:, 0] & folded[:, 1:].all(1)
    # Where a flat hand's thumb lies, the estimator can't tell, nor quite how straight it is.
    palm = (bend < 62).all(1)
    victory = straight[:, :2].all(1) & folded[:, 2:].all(1)
    love = straight[:, 0] & straight[:, 3] & folded[:, 1] & folded[:, 2] & thumb_out
    fist = folded.all(1)
    turn = m.turn[:, -3:].mean(1)
    roll = np.abs((turn[:, ROLL] + np.pi) % (2 * np.pi) - np.pi)
    upright = (roll < np.radians(75)) & (np.abs(turn[:, PITCH]) < np.radians(62))
    facing = np.abs(np.cos(turn[:, YAW])) > 0.3
    thumb = fist & (last[:, 18] > 40)
    slow = np.linalg.norm(m.move[:, -1, :2] - m.move[:, -3, :2], axis=-1) < 0.16
    shown = (upright & (fist | point)) | (upright & facing & (palm | victory | love | ok)) | thumb
    return steady & slow & shown


# ---- held shapes ------------------------------------------------------------------------------------------


def hold(rng, n, shapes, orient, sooner=0.35, stroked=-0.6):
    """A shape taken up some time ago, `sooner` of them a moment ago, and held, still or carried about. A stroke made
    with it was over by the time `stroked`."""
    m = Motion(rng, n)
    loose = m.uniform(3, 11)
    m.shape += (np.stack([SHAPES[s] for s in rng.choice(shapes, n)]) + noise_of_shape(m, loose))[:, None]
    orient(m)
    # How long a shape must be held is for the rules to say.
    held = np.where(m.chance(sooner), m.uniform(0.08, 0.5), m.uniform(0.4, 3.2))
    before = m.drawn_shapes(["relaxed", "half-curled", "open-palm", "fist", "point", "four", "cup"], [0.4, 0.2, 0.12, 0.12, 0.06, 0.05, 0.05])
    arrive(m, held, before)
    carry(m)
    nudge(m, stroked)
    sway(m)
    cut(m)
    return m


def nudge(m, stroked, p=0.45):
    """Strokes that are none, made with a shape held: small, slow or over by the time `stroked`."""
    kind = m.rng.choice(3, m.n, p=[0.3, 0.2, 0.5])
    duration = np.choose(kind, [m.uniform(0.3, 0.8), m.uniform(0.9, 2.0), m.uniform(0.3, 0.8)])
    reach = np.choose(kind, [m.log_uniform(0.05, 0.38), m.uniform(0.15, 0.6) * duration, m.log_uniform(0.6, 2.5)])
    end = np.choose(kind, [m.uniform(-1.2, 0.1), m.uniform(-0.6, 0.6), m.uniform(-1.8, stroked)])
    slow_stroke(m, m.uniform(-180, 180), m.chance(p) * reach, end - duration, duration)


def noise_of_shape(m, loose):
    spread = np.ones(hand.SHAPE)
    spread[hand.ABDUCTION], spread[hand.TOUCH :] = 0.45, 0
    spread[hand.THUMB] = 1.3
    return m.rng.normal(0, 1, (m.n, hand.SHAPE)) * spread * loose[:, None]


def fist_orient(m):
    base = np.stack([m.uniform(-100, 100), m.uniform(-55, 40), np.clip(m.normal(30), -62, 62)], -1)
    # The thumb lies across the fingers, along them, or bends around them; on a hand that leans over it would be a thumb up.
    other = np.where(m.chance(0.5)[:, None], hand.THUMB_ALONG, hand.THUMB_ROUND)
    part = (m.chance(0.6) & (np.abs(base[:, ROLL]) < 30)) * m.uniform(0, 1)
    m.shape[..., hand.THUMB] += (part[:, None] * (other - m.shape[:, -1, hand.THUMB]))[:, None]
    base[m.chance(0.25), YAW] += 180
    m.turn += np.radians(base)[:, None]


def pointing(off):
    def orient(m):
        base = np.stack([m.uniform(-100, 100), np.clip(m.normal(25), -50, 50), np.zeros(m.n)], -1)
        base[m.chance(0.25), YAW] += 180
        m.turn += np.radians(base)[:, None]
        aim(m, 8, 5, off(m))

    return orient


def thumbing(off):
    def orient(m):
        # Three natural views: fingers towards the user, fingers towards the camera, knuckles to the camera.
        view = m.rng.random(m.n)
        yaw = np.where(view < 0.3, 180 + m.normal(32), m.normal(32))
        pitch = m.normal(24)
        ahead = view > 0.5
        yaw = np.where(ahead, m.sign() * m.uniform(35, 135), yaw)
        pitch = np.where(ahead, -m.uniform(15, 90), pitch)
        # Some thumbs stand at right angles to the hand.
        m.shape[..., hand.THUMB[::2]] += m.uniform(0, 22)[:, None, None]
        m.turn += np.radians(np.stack([yaw, pitch, 0 * yaw], -1))[:, None]
        # A thumb that points along the line of sight says nothing: turn those hands back.
        points = hand.pose(m.person, m.shape[:, -1:])[:, 0]
        axis = hand.towards(points[:, 1], points[:, 4])
        turned = np.einsum("nij,nj->ni", hand.rotation(m.turn[:, -1]), axis)
        hidden = np.hypot(turned[:, 0], turned[:, 1]) < 0.6
        m.turn[hidden] = np.radians(np.stack([180 * (view > 0.5) + m.normal(20), m.normal(12), 0 * yaw], -1))[hidden][:, None]
        aim(m, 4, 2, off(m))

    return orient


def within(limit):
    return lambda m: np.clip(m.normal(limit * 0.55), -limit, limit)


def around(centre, limit):
    return lambda m: centre + np.clip(m.normal(limit * 0.55), -limit, limit)


def beyond(low, high=180):
    return lambda m: m.sign() * m.uniform(low, high)


def sideways_hand(m):
    """Known shapes lying on their side or upside down."""
    base = np.stack([m.uniform(-60, 60), m.uniform(-40, 40), m.sign() * m.uniform(88, 180)], -1)
    base[m.chance(0.3), YAW] += 180
    m.turn += np.radians(base)[:, None]


def held(label):
    orient = {
        "fist": fist_orient,
        "point-up": pointing(within(42)),
        "thumb-up": thumbing(within(45)),
        "thumb-down": thumbing(around(180, 45)),
    }.get(label, face)
    # An `ok` that was made a moment ago is a pinch.
    sooner = 0.0 if label == "ok" else 0.35
    # However quickly other hands are carried, they show their shape.
    stroked = -0.6 if label in STROKED_WITH else 0.2

    def recipe(rng, n):
        return hold(rng, n, HELD[label], orient, sooner, stroked)

    return recipe


def none_other_shape(rng, n):
    return hold(rng, n, OTHER, anyhow)


def none_upright_other_shape(rng, n):
    return hold(rng, n, OTHER, face)


def none_rest(rng, n):
    return hold(rng, n, ["relaxed", "half-curled", "cup"], lambda m: anyhow(m, 0.5))


def none_point_at_camera(rng, n):
    def orient(m):
        m.turn += np.radians(np.stack([m.uniform(-180, 180), -m.uniform(62, 105), m.uniform(-180, 180)], -1))[:, None]

    return hold(rng, n, ["point", "loose-point", "two-together"], orient)


def none_wrong_point(rng, n):
    return hold(rng, n, ["point", "loose-point", "gun", "hook"], pointing(beyond(68)))


def none_wrong_thumb(rng, n):
    return hold(rng, n, ["thumb"], thumbing(lambda m: m.sign() * m.uniform(66, 114)))


def none_call(rng, n):
    return hold(rng, n, ["call", "three-thumb", "gun", "little", "horns"], lambda m: anyhow(m, 0.4))


def none_wrong_way(rng, n):
    return hold(rng, n, ["open-palm", "victory", "i-love-you", "ok"], sideways_hand)


def none_edge_on(rng, n):
    """A flat hand seen from its edge or from its fingertips."""

    def orient(m):
        edge = m.chance(0.5)
        yaw = np.where(edge, m.sign() * m.uniform(84, 96), m.uniform(-40, 40))
        pitch = np.where(edge, m.uniform(-30, 30), -m.uniform(70, 105))
        m.turn += np.radians(np.stack([yaw, pitch, m.uniform(-90, 90)], -1))[:, None]

    return hold(rng, n, ["four", "relaxed", "open-palm"], orient)


def none_between(rng, n):
    """Half-made shapes: between a known shape and another one, held."""
    m = Motion(rng, n)
    a = m.drawn_shapes(KNOWN)
    b = m.drawn_shapes(["half-curled", "claw", "cup", "fist", "open-palm", "relaxed"])
    w = m.uniform(0.4, 0.6)[:, None]
    m.shape += (a * (1 - w) + b * w)[:, None]
    anyhow(m, 0.75)
    arrive(m, m.uniform(0.3, 3), m.drawn_shapes(OTHER))
    carry(m)
    sway(m)
    cut(m)
    return m


def none_just_formed(rng, n):
    """A known shape that is not yet one: taken up a moment ago."""
    m = Motion(rng, n)
    m.shape += m.drawn_shapes(KNOWN)[:, None]
    face(m)
    arrive(m, m.uniform(-0.35, -0.04), m.drawn_shapes(["relaxed", "half-curled", "cup", "claw", "four"]))
    carry(m)
    sway(m)
    cut(m)
    return m


def none_chain(rng, n):
    """One shape after another, none of them held: counting, signing, talking with the hands."""
    m = Motion(rng, n)
    names = KNOWN + OTHER[:15]
    m.shape += m.drawn_shapes(names)[:, None]
    anyhow(m, 0.75)
    steps = [(m.uniform(0.12, 0.35), m.uniform(0.0, 0.2)) for _ in range(7)]
    # The last shape is on its way, or only just there.
    at = m.uniform(-0.02, 0.3) - sum(took + pause for took, pause in steps) + steps[-1][1]
    restless = m.log_uniform(0.02, 0.4)
    for took, pause in steps:
        w = blend(at, took)[..., None]
        m.shape[:] = m.shape * (1 - w) + m.drawn_shapes(names)[:, None] * w
        m.turn += rng.normal(0, 0.3, (n, 1, 3)) * w
        m.move += rng.normal(0, 0.5, (n, 1, 3)) * restless[:, None, None] * w
        at = at + took + pause
    sway(m)
    cut(m)
    return m


def none_fingers(rng, n):
    """Finger play, drumming, typing, beckoning, scratching."""
    m = Motion(rng, n)
    m.shape += m.drawn_shapes(["relaxed", "half-curled", "open-palm", "claw", "four", "cup", "point"])[:, None]
    anyhow(m, 0.7)
    together = m.chance(0.4)[:, None, None]
    alone = smooth(rng, n, 12, 0.6, 3.0)
    common = np.repeat(smooth(rng, n, 1, 0.6, 3.0), 12, -1)
    flexing = np.concatenate([hand.MCP, hand.PIP, hand.DIP])
    m.shape[..., flexing] += np.where(together, common, alone) * m.uniform(10, 42)[:, None, None]
    m.shape[..., hand.THUMB] += smooth(rng, n, 6, 0.4, 2.5) * m.uniform(3, 14)[:, None, None]
    scratch = (m.chance(0.4) * m.log_uniform(0.02, 0.3))[:, None, None]
    m.move += smooth(rng, n, 1, 1.5, 4.5) * unit(rng, n) * scratch
    carry(m)
    sway(m)
    cut(m)
    return m


def unit(rng, n):
    v = rng.normal(0, 1, (n, 1, 3)) * [1, 1, 0.3]
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def none_talk(rng, n):
    """Gesticulation: everything moves, smoothly and without aim."""
    m = Motion(rng, n)
    m.shape += m.drawn_shapes(SWIPING + ["pinched", "gap", "claw"])[:, None]
    anyhow(m, 0.65)
    # Long ways are slow ways: a quick long one is a stroke, whoever makes it.
    size = m.log_uniform(0.08, 0.7)
    for far in (True, False):
        way = smooth(rng, n, 3, 0.15, 0.4 if far else 1.1)
        m.move += way * np.where((size > 0.25) == far, size, 0)[:, None, None]
    m.turn += smooth(rng, n, 3, 0.2, 1.2) * m.log_uniform(0.1, 0.55)[:, None, None]
    m.grow += smooth(rng, n, 1, 0.2, 0.8)[..., 0] * m.log_uniform(0.02, 0.12)[:, None]
    m.shape[..., :22] += smooth(rng, n, 22, 0.2, 1.2) * m.uniform(2, 18)[:, None, None]
    sway(m)
    cut(m)
    return m


def none_glitch(rng, n):
    """The estimator loses itself: the hand jumps, turns into another one, or its points fall together."""
    m = Motion(rng, n)
    collapsed = np.where(m.chance(0.08), m.log_uniform(1e-4, 0.1), 1.0)
    for part in (m.person.knuckles, m.person.bones, m.person.thumb_root, m.person.thumb_bones):
        part *= collapsed.reshape(-1, *[1] * (part.ndim - 1))
    m.shape += m.drawn_shapes(KNOWN + OTHER)[:, None]
    anyhow(m)
    for _ in range(3):
        step = (TIME > m.uniform(-2.5, 0.3)[:, None])[..., None] * m.chance(0.6)[:, None, None]
        m.move += rng.normal(0, 0.8, (n, 1, 3)) * step
        m.turn += rng.normal(0, 0.6, (n, 1, 3)) * step
        m.shape += (m.drawn_shapes(OTHER)[:, None] - m.shape) * step
    carry(m)
    sway(m)
    cut(m)
    return m


# ---- strokes ---------------------------------------------------------------------------------------------

def swiping(m, upright=0.65):
    """The shape and orientation of a hand that strokes."""
    a = m.drawn_shapes(SWIPING, SWIPING_SHARE, 9.0)
    m.shape += a[:, None]
    anyhow(m, upright)
    return a


def stroke(m, degrees, reach, start, duration, style=None):
    """Move `reach` hand lengths in the picture's direction `degrees` (0 right, 90 up): by the arm, the wrist
    (fingers sweep about it), both, the fingers alone, or by turning the hand over."""
    rng, n = m.rng, m.n
    style = rng.choice(5, n, p=[0.33, 0.14, 0.35, 0.06, 0.12]) if style is None else style
    w = progress(m, start, duration)[..., None]
    angle = np.radians(degrees)
    sideways, upwards = np.cos(angle)[:, None], np.sin(angle)[:, None]
    along = np.stack([np.cos(angle), np.sin(angle), 0 * angle], -1)[:, None]
    across = np.stack([-np.sin(angle), np.cos(angle), 0 * angle], -1)[:, None]
    by_arm = np.choose(style, [np.ones(n), m.uniform(0, 0.3), m.uniform(0.4, 0.9), m.uniform(0, 0.15), m.uniform(0.1, 0.7)])
    by_wrist = np.choose(style, [m.chance(0.5) * m.uniform(-0.1, 0.35), m.uniform(0.7, 1.1), m.uniform(0.2, 0.7), m.uniform(0.2, 0.6), m.uniform(0, 0.3)])
    travel = reach * by_arm
    m.move += along * w * travel[:, None, None]
    arc = bump(start, duration)[..., None] * (travel * m.normal(0.14))[:, None, None]
    m.move += across * arc
    m.move[..., 2] += arc[..., 0] * m.normal(0.8)[:, None] + w[..., 0] * (travel * m.normal(0.45))[:, None]
    # The fingers sweep: about the line of sight and the forearm for left and right, up and down by the wrist. Some
    # wrists are straight before they draw back for the stroke, or again after it.
    took = m.uniform(0.25, 0.6)
    straight = m.chance(0.5)[:, None] * (1 - blend(start - took, took))
    again = m.chance(0.45)[:, None] * blend(start + duration + m.uniform(0.02, 0.5), m.uniform(0.3, 0.7))
    centred = np.clip(reach * by_wrist, -0.3, 1.7)[:, None] * (w[..., 0] - 0.5 + 0.5 * straight - 0.5 * again)
    m.turn[..., ROLL] += -sideways * centred * m.uniform(0.5, 1.0)[:, None] * np.sign(np.cos(m.turn[..., ROLL]))
    m.turn[..., YAW] += sideways * centred * m.uniform(-0.3, 1.0)[:, None]
    m.turn[..., PITCH] += upwards * centred * m.uniform(0.5, 1.0)[:, None]
    # Turned over: fingers that stood up come to hang, or the palm turns to the side.
    over = style == 4
    base = np.stack([m.normal(0.7), m.normal(0.25), m.normal(0.45)], -1)
    m.turn[over] += (base[:, None] - m.turn[:, -1:])[over]
    by = over[:, None] * m.uniform(1.1, 2.8)[:, None] * (1 - 0.8 * again)
    m.turn[..., PITCH] -= np.abs(upwards) * by * np.where(upwards < 0, w[..., 0], 1 - w[..., 0])
    m.turn[..., YAW] += sideways * by * 0.6 * m.sign()[:, None] * (w[..., 0] - m.uniform(0.2, 0.8)[:, None])
    # Up and down strokes of a hand whose fingers lie sideways, or hang, still move the fingertips that way.
    fingers = np.where(style == 3, m.uniform(25, 55), m.chance(0.3) * m.normal(14))
    m.shape[..., hand.MCP] += (-np.sin(angle) * fingers)[:, None, None] * (w - 0.5)


def progress(m, start, duration):
    """A stroke's way in time: bell-shaped speed, more or less even, some stopped short at full speed."""
    u = np.clip((TIME - start[:, None]) / duration[:, None], 0, 1) ** m.uniform(0.7, 1.25)[:, None]
    until = np.where(m.chance(0.3), m.uniform(0.55, 0.9), 1.0)[:, None]
    jerk = lambda v: v**3 * (10 - 15 * v + 6 * v * v)
    bell = jerk(u * until) / jerk(until)
    even = (m.chance(0.4) * m.uniform(0, 0.8))[:, None]
    return (1 - even) * bell + even * u


def timing(m, slowest=1.1, quickest=0.2, nearest=0.5, farthest=3.7):
    """Duration and reach of people's strokes: 1.1 to 8 hand lengths a second."""
    duration = m.uniform(quickest, slowest)
    reach = m.log_uniform(nearest, farthest)
    reach = np.clip(reach, 1.1 * duration, 8.0 * duration)
    return duration, np.maximum(reach, nearest)


def morph(m, p=0.35):
    """The hand's shape changes somewhere on the way."""
    changes = m.chance(p)[:, None, None]
    w = blend(m.uniform(-1.6, 0), m.uniform(0.2, 0.8))[..., None] * changes
    m.shape[:] = m.shape * (1 - 0.7 * w) + 0.7 * w * m.drawn_shapes(["relaxed", "half-curled", "open-palm", "four"])[:, None]


def swipe(label):
    def recipe(rng, n):
        m = Motion(rng, n)
        swiping(m)
        degrees = DIRECTIONS[label] + np.clip(m.normal(11), -24, 24)
        duration, reach = timing(m)
        end = m.uniform(-0.47, 0.05)
        start = end - duration
        stroke(m, degrees, reach, start, duration)
        m.stroke = (DIRECTIONS[label], start, end)
        about_stroke(m, degrees, reach, start, end)
        morph(m)
        restless_fingers(m)
        sway(m)
        cut(m, latest=start + 0.12 * duration, p=0.45)
        return m

    return recipe


def about_stroke(m, degrees, reach, start, end):
    """What people do before and after a stroke: prepare the other way, come back, drop, or stay."""
    prepare = m.chance(0.55) * m.uniform(0.15, 1.0) * reach
    took = np.maximum(m.uniform(0.28, 0.9), prepare / 1.4)
    before = start - took - m.chance(0.5) * m.uniform(0, 0.4)
    slow_stroke(m, degrees + 180 + m.normal(25), prepare, before, took)
    # The stroke's shape and orientation are often taken up on the way.
    rest = (1 - blend(before, took))[..., None] * m.chance(0.55)[:, None, None]
    m.shape[:] = m.shape * (1 - rest) + m.drawn_shapes(["relaxed", "half-curled"])[:, None] * rest
    m.turn += m.rng.normal(0, 0.35, (m.n, 1, 3)) * rest
    back = m.chance(0.45) * m.uniform(0.2, 1.1) * reach
    took = np.maximum(m.uniform(0.35, 1.1), back / np.where(m.chance(0.3), m.uniform(2.5, 6), 2.5))
    slow_stroke(m, degrees + 180 + m.normal(25), back, end + m.uniform(0.02, 0.4), took)
    drop = m.chance(0.15) * m.log_uniform(0.5, 2.5)
    slow_stroke(m, -90 + m.normal(20), drop, end + m.uniform(0.05, 0.4), m.uniform(0.4, 0.9))


def restless_fingers(m, p=0.3):
    """Fingers that play on the way, whatever the hand does."""
    play = (m.chance(p) * m.log_uniform(5, 28))[:, None, None]
    m.shape[..., :22] += smooth(m.rng, m.n, 22, 0.4, 3.0) * play


def slow_stroke(m, degrees, reach, start, duration):
    w = blend(start, duration, m.uniform(0.7, 1.3))[..., None]
    angle = np.radians(degrees)
    m.move += np.stack([np.cos(angle), np.sin(angle), 0 * angle], -1)[:, None] * w * reach[:, None, None]
    m.turn += m.rng.normal(0, 0.2, (m.n, 1, 3)) * w * np.minimum(reach, 1)[:, None, None]


def none_swipe(kind):
    """Strokes that are none: too slow, too small, slanting, only begun, long past, or on their way back."""

    def recipe(rng, n):
        m = Motion(rng, n)
        swiping(m)
        degrees = rng.choice([0.0, 90.0, 180.0, -90.0], n) + np.clip(m.normal(10), -22, 22)
        duration, reach = timing(m)
        end = m.uniform(-0.6, 0.05)
        if kind == "slow":
            duration = m.uniform(0.9, 2.4)
            reach = m.uniform(0.15, 0.6) * duration
            end = m.uniform(-0.6, 0.6)
        elif kind == "small":
            reach = m.log_uniform(0.06, 0.34)
        elif kind == "slanting":
            degrees = rng.choice([45.0, 135.0, -45.0, -135.0], n) + m.uniform(-5, 5)
        elif kind == "begun":
            end = duration * m.uniform(0.68, 1.1)
        elif kind in ("past", "returned"):
            end = m.uniform(-1.7, -0.75)
        start = end - duration
        stroke(m, degrees, reach, start, duration, np.zeros(n, int) if kind in ("slow", "small") else None)
        if kind == "returned":
            pause = m.uniform(0.0, 0.3)
            back = reach * m.uniform(0.6, 1.1)
            took = np.clip(back / m.uniform(0.6, 1.0), 0.45, 1.7)
            # It has only just come back.
            took = np.maximum(took, -0.35 - end - pause)
            stroke(m, degrees + 180 + m.normal(15), back, end + pause, took)
        elif kind == "past":
            carry(m)
        else:
            about_stroke(m, degrees, reach, start, end)
        morph(m)
        restless_fingers(m)
        sway(m)
        cut(m)
        return m

    return recipe


def none_let_go(rng, n):
    """A shape was held and is let go: the hand relaxes, sinks a little and turns."""
    m = Motion(rng, n)
    m.shape += m.drawn_shapes(["relaxed", "half-curled", "cup"], [0.6, 0.3, 0.1])[:, None]
    anyhow(m, 0.8)
    before = m.drawn_shapes(KNOWN + ["ok", "pinched", "loose-pinched", "bunched"])[:, None]
    took = m.uniform(0.2, 0.7)
    w = blend(m.uniform(-0.7, 0.15) - took, took, m.uniform(0.8, 1.2))[..., None]
    m.shape[:] = before * (1 - w) + m.shape * w
    m.turn -= rng.normal(0, 0.4, (n, 1, 3)) * (1 - w)
    m.move += (rng.normal(0, 0.2, (n, 1, 3)) - [0, 0.2, 0]) * w
    sway(m)
    cut(m)
    return m


def none_ready(rng, n):
    """Getting ready: without haste to another place, taking up another shape and orientation on the way."""
    m = Motion(rng, n)
    m.shape += m.drawn_shapes(KNOWN + SWIPING)[:, None]
    anyhow(m, 0.8)
    for last in (True, False):
        took = m.uniform(0.3, 1.0)
        end = m.uniform(-0.6, 0.25) if last else m.uniform(-1.8, -0.9)
        w = blend(end - took, took, m.uniform(0.8, 1.2))[..., None]
        before = m.drawn_shapes(["relaxed", "half-curled", "cup", "open-palm", "four"], [0.4, 0.3, 0.15, 0.1, 0.05])[:, None]
        m.shape[:] = before * (1 - w) + m.shape * w
        m.turn -= rng.normal(0, 0.4, (n, 1, 3)) * (1 - w)
        angle = np.radians(rng.choice([0.0, 90.0, 180.0, -90.0], n) + m.normal(25))
        reach = took * m.uniform(0.2, 0.8)
        m.move -= np.stack([np.cos(angle), np.sin(angle), m.normal(0.2)], -1)[:, None] * (1 - w) * reach[:, None, None]
    sway(m)
    cut(m)
    return m


def none_wag(rng, n):
    """Back and forth, several times, as no waving palm: wagging, shaking, bouncing, fanning, rubbing."""
    m = Motion(rng, n)
    palm = m.chance(0.3)
    m.shape += np.where(palm[:, None], m.drawn_shapes(["open-palm", "four"]), m.drawn_shapes(SWIPING[1:] + ["half-curled", "claw"]))[:, None]
    anyhow(m, 0.65)
    # A palm only bounces up and down or rocks slowly; other hands go any way.
    angle = np.where(palm, np.radians(90 + m.normal(18)), m.uniform(0, np.pi))
    hz = np.where(palm & m.chance(0.3), m.uniform(0.25, 0.6), m.uniform(0.5, 3.6))
    phase = np.sin(2 * np.pi * (hz[:, None] * TIME + m.uniform(0, 1)[:, None]))
    phase = np.sign(phase) * np.abs(phase) ** m.uniform(0.5, 1.2)[:, None]
    # One way alone would be a stroke.
    fade = blend(np.minimum(m.uniform(-3.5, -0.9), -1.3 / hz), m.uniform(0.1, 0.4)) * (1 - blend(m.uniform(-0.5, 1.5), m.uniform(0.1, 0.4)))
    size = m.log_uniform(0.08, 1.0)[:, None] * fade
    along = np.stack([np.cos(angle), np.sin(angle), m.normal(0.3)], -1)[:, None]
    by_wrist = m.uniform(0, 1)[:, None]
    m.move += along * (phase * size * (1 - by_wrist))[..., None]
    m.turn[..., ROLL] -= np.cos(angle)[:, None] * phase * size * by_wrist
    m.turn[..., PITCH] += np.sin(angle)[:, None] * phase * size * by_wrist
    sway(m)
    cut(m)
    return m


def none_passing(rng, n):
    """Carried through the picture at an even speed: walking past, following something."""
    m = Motion(rng, n)
    m.shape += m.drawn_shapes(SWIPING + ["pinched"])[:, None]
    anyhow(m, 0.5)
    angle = m.uniform(0, 2 * np.pi)
    speed = m.log_uniform(0.15, 0.8)
    m.move += np.stack([np.cos(angle), np.sin(angle), m.normal(0.2)], -1)[:, None] * (speed[:, None] * TIME)[..., None]
    m.grow += m.normal(0.05)[:, None] * TIME
    sway(m, 1.5)
    cut(m)
    return m


def none_entering(rng, n):
    """A hand comes into the picture and settles: from below mostly, opening on the way."""
    m = Motion(rng, n)
    m.shape += m.drawn_shapes(KNOWN + OTHER, None, 8.0)[:, None]
    anyhow(m, 0.8)
    before = m.drawn_shapes(["relaxed", "half-curled", "fist", "cup"])
    took = m.uniform(0.4, 1.3)
    end = m.uniform(-0.1, 0.4)
    w = blend(end - took, took, m.uniform(0.5, 0.9))[..., None]
    m.shape[:] = before[:, None] * (1 - w) + m.shape * w
    angle = np.radians(np.where(m.chance(0.75), -90 + m.normal(25), m.uniform(-180, 0)))
    m.move += np.stack([np.cos(angle), np.sin(angle), m.normal(0.3)], -1)[:, None] * (1 - w) * m.log_uniform(0.7, 3.0)[:, None, None]
    m.turn += (rng.normal(0, 0.5, (n, 1, 3)) + [0, -0.5, 0]) * (1 - w)
    sway(m)
    # It appears on the way, at the picture's edge.
    seen = end - took * m.uniform(0.35, 0.85)
    m.first = np.clip(np.round((seen + 2.0) * RATE_HZ).astype(int), 0, POSES - 8)
    m.on_edge = m.chance(0.8)
    return m


def none_leaving(rng, n):
    """The hand relaxes and drops, or is taken away."""
    m = Motion(rng, n)
    m.shape += m.drawn_shapes(KNOWN + OTHER)[:, None]
    anyhow(m, 0.85)
    took = m.uniform(0.4, 1.0)
    start = m.uniform(-0.6, -0.15)
    w = blend(start, took, m.uniform(0.9, 1.5))[..., None]
    m.shape[:] = m.shape * (1 - w) + m.drawn_shapes(["relaxed", "half-curled", "cup"])[:, None] * w
    angle = np.radians(np.where(m.chance(0.8), -90 + m.normal(30), m.uniform(-180, 0)))
    m.move += np.stack([np.cos(angle), np.sin(angle), m.normal(0.4)], -1)[:, None] * w * (took * m.log_uniform(0.8, 2.5))[:, None, None]
    m.turn += (rng.normal(0, 0.5, (n, 1, 3)) + [0, -0.7, 0]) * w
    sway(m)
    cut(m)
    return m


def none_reach(rng, n):
    """Reaching out to a point and staying there, pressing, poking, knocking."""
    m = Motion(rng, n)
    m.shape += m.drawn_shapes(["point", "relaxed", "half-curled", "gun", "fist", "pinched", "cup"])[:, None]
    anyhow(m, 0.7)
    start, took = m.uniform(-1.6, -0.3), m.uniform(0.35, 0.9)
    w = blend(start, took) - m.chance(0.5)[:, None] * m.uniform(0.5, 1.0)[:, None] * blend(start + took + m.uniform(0, 0.4), m.uniform(0.3, 0.8))
    m.grow += w * m.uniform(0.08, 0.7)[:, None]
    m.move += rng.normal(0, 0.2, (n, 1, 3)) * w[..., None]
    m.turn[..., PITCH] -= w * m.uniform(0, 0.7)[:, None]
    sway(m)
    cut(m)
    return m


# ---- wave, push, circle, pinch, spread -------------------------------------------------------------------

def wave(rng, n):
    m = Motion(rng, n)
    m.shape += m.drawn_shapes(["open-palm", "four", "relaxed", "spock"], [0.72, 0.1, 0.13, 0.05])[:, None]
    face(m, roll=22, yaw=35, pitch=22, back=0.12)
    hz = m.log_uniform(0.9, 3.3)
    swings = m.uniform(1.6, 5.0)
    end = np.where(m.chance(0.6), m.uniform(0.0, 1.0), m.uniform(-0.42, 0.0))
    start = np.maximum(np.minimum(end, 0) - swings / hz, -2.6)
    # At least one and a half swings must be in the window.
    start = np.minimum(start, np.minimum(end, 0) - 1.55 / hz)
    fade = blend(start, 0.3 / hz) * (1 - blend(end - 0.2 / hz, 0.3 / hz))
    cycle = 2 * np.pi * (hz[:, None] * (TIME - start[:, None]) + smooth(rng, n, 1, 0.2, 0.9)[..., 0] * 0.06)
    phase = np.sin(cycle) * m.sign()[:, None]
    phase = np.sign(phase) * np.abs(phase) ** m.uniform(0.6, 1.1)[:, None]
    size = fade * (1 + 0.2 * smooth(rng, n, 1, 0.3, 1.5)[..., 0])
    by_wrist = m.chance(0.75) * m.uniform(0.14, 0.75)
    by_arm = np.where(by_wrist < 0.22, m.log_uniform(0.22, 0.9), m.chance(0.5) * m.uniform(0.02, 0.5))
    lag = m.uniform(-0.5, 0.5)[:, None]
    m.turn[..., ROLL] -= phase * size * by_wrist[:, None]
    m.turn[..., YAW] += phase * size * m.uniform(-0.1, 0.5)[:, None] * by_wrist[:, None]
    m.move[..., 0] += np.sin(cycle + lag) * size * by_arm[:, None]
    m.move[..., 1] += np.cos(2 * cycle) * size * by_arm[:, None] * m.normal(0.08)[:, None]
    raised = m.chance(0.4)[:, None, None] * (1 - blend(start - m.uniform(0.1, 0.6), m.uniform(0.3, 0.6)))[..., None]
    m.move += raised * (rng.normal(0, 0.6, (n, 1, 3)) + [0, -0.8, 0])
    m.shape += raised * (m.drawn_shapes(["relaxed", "half-curled"])[:, None] - m.shape)
    carry(m, 0.25)
    sway(m)
    cut(m, latest=np.maximum(np.minimum(end, 0) - 1.55 / hz, -2.0))
    return m


def push(rng, n):
    m = Motion(rng, n)
    m.shape += m.drawn_shapes(["open-palm", "four", "relaxed"], [0.8, 0.12, 0.08])[:, None]
    face(m, roll=22, yaw=28, pitch=24, back=0.06)
    took = m.uniform(0.22, 0.75)
    end = m.uniform(-0.5, 0.05)
    size = m.log_uniform(0.24, 1.0)
    start = end - took
    m.grow += blend(start, took, m.uniform(0.7, 1.3)) * size[:, None]
    prepare = m.chance(0.35) * m.uniform(0.1, 0.6) * size
    m.grow -= blend(start - m.uniform(0.3, 0.9), m.uniform(0.3, 0.8)) * prepare[:, None]
    m.grow -= blend(end + m.uniform(0.03, 0.4), m.uniform(0.4, 0.9)) * (m.chance(0.45) * m.uniform(0.3, 1.0) * size)[:, None]
    aside = blend(start, took)[..., None] * rng.normal(0, 0.15, (n, 1, 3))
    m.move += aside
    m.turn[..., PITCH] += blend(start, took) * m.normal(0.3)[:, None]
    arrive(m, -start + m.uniform(0.0, 2.0), m.drawn_shapes(["relaxed", "half-curled", "open-palm", "fist"]), 0.8)
    carry(m, 0.2)
    sway(m)
    cut(m, latest=start + 0.1 * took)
    return m


def none_push(rng, n):
    """Away from the camera, slowly towards it, only slightly, or long past."""
    m = Motion(rng, n)
    m.shape += m.drawn_shapes(["open-palm", "four", "relaxed", "half-curled"])[:, None]
    face(m, back=0.2)
    kind = rng.choice(4, n)
    took = np.where(kind == 1, m.uniform(1.3, 2.5), m.uniform(0.25, 0.9))
    end = np.where(kind == 3, m.uniform(-1.7, -1.0), m.uniform(-0.6, 0.1))
    end = np.where(kind == 1, m.uniform(-0.4, 0.8), end)
    size = np.choose(kind, [-m.log_uniform(0.15, 0.9), m.uniform(0.05, 0.35), m.uniform(0.02, 0.09), m.log_uniform(0.25, 0.9)])
    m.grow += blend(end - took, took) * size[:, None]
    m.grow -= ((kind == 3) * m.uniform(0, 1) * size)[:, None] * blend(end + 0.1, m.uniform(0.4, 0.8))
    m.move += blend(end - took, took)[..., None] * rng.normal(0, 0.25, (n, 1, 3))
    sway(m)
    cut(m)
    return m


def orbit(m, turns, start, duration, clockwise, radius, narrow, by_finger):
    """Draw `turns` of an ellipse, by the arm or by the finger alone."""
    early = m.uniform(0.8, 1.2)
    u = np.clip((TIME - start[:, None]) / duration[:, None], 0, 1)
    # Nearly even speed, soft at both ends.
    soft = m.uniform(0.0, 0.7)[:, None]
    u = (1 - soft) * u ** early[:, None] + soft * u * u * (3 - 2 * u)
    angle = m.uniform(0, 2 * np.pi)[:, None] - np.where(clockwise, 1, -1)[:, None] * 2 * np.pi * u * turns[:, None]
    wobble = 1 + 0.12 * smooth(m.rng, m.n, 1, 0.2, 0.9)[..., 0]
    x, y = np.cos(angle) * wobble, np.sin(angle) * wobble * narrow[:, None]
    slant = m.normal(0.5)[:, None]
    x, y = x * np.cos(slant) - y * np.sin(slant), x * np.sin(slant) + y * np.cos(slant)
    x, y = x * radius[:, None], y * radius[:, None]
    # The circle opens out of where the hand is: no jump at the beginning.
    x, y = x - x[:, :1], y - y[:, :1]
    arm = (1 - by_finger)[:, None]
    m.move[..., 0] += x * arm
    m.move[..., 1] += y * arm
    centre_x, centre_y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    tip = by_finger[:, None] * 1.1
    m.turn[..., ROLL] -= centre_x * tip
    m.turn[..., PITCH] += centre_y * tip
    m.shape[..., hand.MCP[0]] -= np.degrees(centre_y) * tip * 0.3


def circling(m):
    """The shape and orientation of a hand that draws circles, how much of them the finger draws, and their radius."""
    m.shape += m.drawn_shapes(["point", "gun", "relaxed", "open-palm", "two-together", "half-curled", "hook"], [0.62, 0.08, 0.09, 0.08, 0.06, 0.04, 0.03])[:, None]
    finger_up = m.chance(0.7)
    anyhow(m, 0.9)
    base = np.radians(np.stack([m.normal(30), m.normal(28) - 12, m.normal(26)], -1))
    m.turn[finger_up] = base[finger_up][:, None]
    by_finger = np.where(m.chance(0.35), m.uniform(0.6, 1.0), m.uniform(0, 0.4))
    return by_finger, np.where(by_finger > 0.5, m.log_uniform(0.16, 0.5), m.log_uniform(0.18, 1.1))


def circle(clockwise):
    def recipe(rng, n):
        m = Motion(rng, n)
        by_finger, radius = circling(m)
        turns = np.where(m.chance(0.55), m.uniform(0.74, 1.3), m.uniform(1.0, 3.2))
        period = m.log_uniform(0.5, 1.7)
        duration = turns * period
        going_on = m.chance(0.45)
        end = np.where(going_on, m.uniform(0, 1.2), m.uniform(-0.42, 0.03))
        # What is in the window by now must be at least 0.74 of a turn.
        seen = np.minimum(duration, 1.95)
        period = np.where(seen < 0.74 * period, seen / 0.78, period)
        turns = duration / period
        end = np.minimum(end, duration - 0.76 * period)
        start = end - duration
        orbit(m, turns, start, duration, np.full(n, clockwise), radius, m.uniform(0.45, 1.0), by_finger)
        carry(m, 0.3)
        sway(m)
        cut(m, latest=np.maximum(np.minimum(end, 0) - 0.76 * period, -2.0))
        return m

    return recipe


def none_circle_begun(rng, n):
    """A circle that has only begun: it looks like a stroke on a curve."""
    m = Motion(rng, n)
    by_finger, radius = circling(m)
    period = m.log_uniform(0.5, 1.7)
    turns = m.uniform(1.0, 2.5)
    start = -m.uniform(0.12, 0.62) * period
    orbit(m, turns, start, turns * period, m.chance(0.5), radius, m.uniform(0.45, 1.0), by_finger)
    carry(m, 0.3)
    sway(m)
    cut(m, latest=start)
    return m


def none_arc(rng, n):
    """Arcs, to and fro on a curve, figures of eight, circles too small or long past."""
    m = Motion(rng, n)
    m.shape += m.drawn_shapes(["point", "gun", "relaxed", "open-palm", "half-curled"])[:, None]
    anyhow(m, 0.8)
    kind = rng.choice(4, n)
    turns = np.choose(kind, [m.uniform(0.3, 0.55), m.uniform(0.3, 0.55), m.uniform(0.8, 2.5), m.uniform(0.8, 1.5)])
    period = np.where(kind < 2, m.uniform(0.9, 2.0), m.log_uniform(0.6, 1.8))
    duration = turns * period
    end = np.where(kind == 3, m.uniform(-1.5, -1.0), m.uniform(-0.6, 0.3))
    radius = np.where(kind == 2, m.log_uniform(0.01, 0.06), m.log_uniform(0.2, 1.1))
    clockwise = m.chance(0.5)
    by_finger = m.chance(0.3) * m.uniform(0.4, 1)
    narrow = m.uniform(0.45, 1.0)
    orbit(m, turns, end - duration, duration, clockwise, radius, narrow, by_finger)
    back = Motion(rng, n)
    orbit(back, turns, end - 2 * duration, duration, ~clockwise, radius, narrow, by_finger)
    to_and_fro = (kind == 1)[:, None, None]
    m.move += back.move * to_and_fro
    m.turn += back.turn * to_and_fro
    eight = (m.chance(0.2) & (kind == 0))[:, None]
    hz = m.uniform(0.5, 1.2)[:, None]
    m.move[..., 0] += eight * np.sin(2 * np.pi * hz * TIME) * radius[:, None]
    m.move[..., 1] += eight * np.sin(4 * np.pi * hz * TIME) * radius[:, None] * 0.6
    sway(m)
    cut(m)
    return m


def grip(m):
    """Open and closed shapes of a pinch: thumb and index, others folded, loose or straight; or all fingers."""
    pairs = [("wide-gap", "pinched"), ("gap", "pinched"), ("loose-gap", "loose-pinched"), ("open-palm", "ok"), ("claw", "bunched"), ("open-palm", "bunched"), ("cup", "bunched")]
    share = [0.22, 0.1, 0.22, 0.14, 0.14, 0.12, 0.06]
    chosen = m.rng.choice(len(pairs), m.n, p=share)
    opened = np.stack([SHAPES[a] for a, _ in pairs])[chosen]
    closed = np.stack([SHAPES[b] for _, b in pairs])[chosen]
    own = noise_of_shape(m, m.uniform(3, 10))
    # Most close until they touch, some stop short.
    closed = closed.copy()
    closed[:, hand.TOUCH :] *= m.uniform(0.75, 1.0)[:, None]
    return opened + own, closed + own + noise_of_shape(m, m.uniform(1, 5))


def gripping(m):
    base = np.stack([m.uniform(-100, 100), m.uniform(-60, 40), m.normal(35)], -1)
    base[m.chance(0.2), YAW] += 180
    m.turn += np.radians(base)[:, None]


def pinch_or_spread(closing):
    def recipe(rng, n):
        m = Motion(rng, n)
        opened, closed = grip(m)
        gripping(m)
        a, b = (opened, closed) if closing else (closed, opened)
        took = m.log_uniform(0.18, 0.9)
        end = m.uniform(-0.5, 0.04)
        w = blend(end - took, took, m.uniform(0.7, 1.3))[..., None]
        m.shape += a[:, None] * (1 - w) + b[:, None] * w
        # Some let go afterwards, slowly; some came from elsewhere.
        back = (blend(end + m.uniform(0.1, 0.4), m.uniform(0.4, 0.9)) * (m.chance(0.25) * m.uniform(0.2, 0.8))[:, None])[..., None]
        m.shape[:] = m.shape * (1 - back) + (0.5 * a + 0.5 * m.drawn_shapes(["relaxed"]))[:, None] * back
        rest = (1 - blend(end - took - m.uniform(0.1, 0.9) - 0.3, m.uniform(0.2, 0.4)))[..., None] * m.chance(0.4)[:, None, None]
        m.shape[:] = m.shape * (1 - rest) + m.drawn_shapes(["relaxed", "half-curled"])[:, None] * rest
        m.turn += rng.normal(0, 0.15, (n, 1, 3)) * w
        m.move += rng.normal(0, 0.25, (n, 1, 3)) * [0.7, 1, 0.3] * rest
        m.turn += rng.normal(0, 0.3, (n, 1, 3)) * rest
        carry(m, 0.35)
        sway(m)
        cut(m, latest=end - 0.9 * took)
        return m

    return recipe


def none_grip(rng, n):
    """Grabbing (into a fist), opening a fist, pinches half-made, slow or long past, pinching again and again."""
    m = Motion(rng, n)
    opened, closed = grip(m)
    gripping(m)
    kind = rng.choice(4, n)
    grab = (kind == 0)[:, None]
    open_hand = m.drawn_shapes(["open-palm", "relaxed", "claw", "four"])
    fist = m.drawn_shapes(["fist", "half-curled"])
    flip = m.chance(0.5)[:, None]
    a, b = np.where(grab, open_hand, opened), np.where(grab, fist, closed)
    a, b = np.where(flip, b, a), np.where(flip, a, b)
    took = np.choose(kind, [m.uniform(0.2, 0.9), m.uniform(0.2, 0.8), m.uniform(1.6, 3.0), m.uniform(0.2, 0.6)])
    end = np.choose(kind, [m.uniform(-0.9, 0.2), m.uniform(-0.6, 0.1), m.uniform(-0.3, 1.5), m.uniform(-1.6, -1.0)])
    part = np.where(kind == 1, m.uniform(0.1, 0.35), 1.0)
    w = (blend(end - took, took) * part[:, None])[..., None]
    m.shape += a[:, None] * (1 - w) + b[:, None] * w
    carry(m, 0.35)
    sway(m)
    cut(m)
    return m


def none_opening(rng, n):
    """Getting a hand ready for a pinch, and letting it go loose again: thumb and index don't touch."""
    m = Motion(rng, n)
    opened, closed = grip(m)
    gripping(m)
    nearly = m.uniform(0, 0.35)[:, None]
    loose = m.drawn_shapes(["relaxed", "relaxed", "half-curled"]) * (1 - nearly) + closed * nearly
    loose[:, hand.TOUCH :] = 0
    flip = m.chance(0.3)[:, None]
    a, b = np.where(flip, opened, loose), np.where(flip, loose, opened)
    took = m.log_uniform(0.12, 0.7)
    end = m.uniform(-0.7, 0.1)
    m.shape += a[:, None] + (b - a)[:, None] * blend(end - took, took)[..., None]
    m.turn += rng.normal(0, 0.2, (n, 1, 3)) * blend(end - took, took)[..., None]
    carry(m, 0.35)
    sway(m)
    cut(m)
    return m


def none_rotate(rng, n):
    """Turning the hand: a key, a knob, palm to back, tilting."""
    m = Motion(rng, n)
    m.shape += m.drawn_shapes(["relaxed", "half-curled", "open-palm", "claw", "gap", "wide-gap", "loose-gap", "pinched", "loose-pinched", "bunched", "cup", "fist", "point"])[:, None]
    anyhow(m, 0.75)
    took = m.uniform(0.25, 1.2)
    end = m.uniform(-0.8, 0.4)
    about = rng.choice(3, n, p=[0.4, 0.15, 0.45])
    by = m.sign() * m.uniform(0.35, 2.4)
    by = np.where(about == ROLL, np.clip(by, -1.7, 1.7), by)
    # A hand that is quickly turned over, up or down, makes a stroke.
    by = np.where(about == PITCH, np.clip(by, -0.8, 0.8), by)
    m.pivot = np.where(about == ROLL, -m.uniform(0.0, 0.6), m.pivot)
    # The grip changes on the way, but thumb and index don't meet.
    other = m.drawn_shapes(["relaxed", "half-curled", "gap", "loose-gap", "wide-gap", "claw", "cup"])[:, None]
    m.shape += (other - m.shape) * (blend(end - took, took) * (m.chance(0.5) * m.uniform(0.3, 1))[:, None])[..., None]
    turn = by[:, None] * (blend(end - took, took) - m.chance(0.4)[:, None] * blend(end + m.uniform(0, 0.3), took))
    for axis in range(3):
        m.turn[..., axis] += turn * (about == axis)[:, None]
    m.move += rng.normal(0, 0.12, (n, 1, 3)) * blend(end - took, took)[..., None]
    sway(m)
    cut(m)
    return m


# Every label and kind of `none` with its share of the windows.
OFTENER = {"open-palm": 1.6, "fist": 1.5, "victory": 1.25, "thumb-down": 1.6, "swipe-up": 1.15, "swipe-down": 1.15}
RECIPES = [(label, label, held(label), OFTENER.get(label, 1.0)) for label in HELD]
RECIPES += [(label, label, swipe(label), 1.3 * OFTENER.get(label, 1.0)) for label in DIRECTIONS]
RECIPES += [
    ("wave", "wave", wave, 1.0),
    ("push", "push", push, 0.9),
    ("circle-cw", "circle-cw", circle(True), 1.1),
    ("circle-ccw", "circle-ccw", circle(False), 1.1),
    ("pinch", "pinch", pinch_or_spread(True), 1.1),
    ("spread", "spread", pinch_or_spread(False), 1.4),
]
NONE = [
    ("other-shape", none_other_shape, 1.6),
    ("upright-other-shape", none_upright_other_shape, 1.2),
    ("rest", none_rest, 1.0),
    ("wrong-point", none_wrong_point, 1.0),
    ("point-at-camera", none_point_at_camera, 0.4),
    ("wrong-thumb", none_wrong_thumb, 0.6),
    ("call", none_call, 0.7),
    ("wrong-way", none_wrong_way, 0.5),
    ("edge-on", none_edge_on, 0.3),
    ("between", none_between, 0.8),
    ("just-formed", none_just_formed, 0.5),
    ("chain", none_chain, 0.9),
    ("fingers", none_fingers, 0.8),
    ("talk", none_talk, 1.2),
    ("glitch", none_glitch, 0.5),
    ("swipe-slow", none_swipe("slow"), 0.7),
    ("swipe-small", none_swipe("small"), 0.6),
    ("swipe-slanting", none_swipe("slanting"), 0.25),
    ("swipe-begun", none_swipe("begun"), 0.7),
    ("swipe-past", none_swipe("past"), 0.7),
    ("swipe-returned", none_swipe("returned"), 0.9),
    ("ready", none_ready, 1.1),
    ("let-go", none_let_go, 0.9),
    ("wag", none_wag, 0.9),
    ("passing", none_passing, 0.5),
    ("entering", none_entering, 0.3),
    ("leaving", none_leaving, 0.4),
    ("reach", none_reach, 0.4),
    ("push-not", none_push, 0.6),
    ("arc", none_arc, 1.0),
    ("circle-begun", none_circle_begun, 1.2),
    ("grip", none_grip, 0.65),
    ("opening", none_opening, 0.45),
    ("rotate", none_rotate, 2.3),
]
RECIPES += [("none", kind, recipe, 0.75 * share) for kind, recipe, share in NONE]
# Kinds that hold a known shape the wrong way, or not yet.
WRONGLY_HELD = {"wrong-thumb", "just-formed"}
# Kinds in which a stroke may be seen that is none: of several, on its way back, of a circle, or of a hand that comes or goes.
STROKING = {"swipe-returned", "wag", "circle-begun", "entering", "leaving", "glitch"}
KINDS = [kind for _, kind, _, _ in RECIPES]
