"""Random scripts for the synthetic hand: who shows what, in which room, to which camera. Deterministic by seed."""

import math
import random

# How long a person holds a shape or takes for a movement, in seconds.
SHAPES = ["open-palm", "fist", "point-up", "thumb-up", "thumb-down", "victory", "ok", "i-love-you"]
HELD = (0.8, 2.5)
MOVEMENTS = {
    "swipe-left": (0.3, 0.8),
    "swipe-right": (0.3, 0.8),
    "swipe-up": (0.3, 0.8),
    "swipe-down": (0.3, 0.8),
    "wave": (1.2, 2.6),
    "push": (0.4, 0.8),
    "circle-cw": (0.8, 1.6),
    "circle-ccw": (0.8, 1.6),
    "pinch": (0.4, 0.8),
    "spread": (0.4, 0.8),
}
# Shapes that are nobody's gesture.
OTHERS = ["three", "four", "rock", "call", "gun", "claw", "relaxed"]
GESTURES_A_SCRIPT = 6
# Width, height, weight.
CAMERAS = [(320, 240, 6), (424, 240, 2), (480, 360, 1), (640, 480, 1)]
RATES = [15, 20, 24, 25, 30]
# The picture at the hand's distance is at least so large, so that strokes stay in it, and at most so many times that.
SMALLEST_VIEW = (0.50, 0.40)
FARTHEST = 2.0


def scripts(count, seed):
    """`count` scripts. Every gesture comes up equally often, in any order."""
    draw = random.Random(seed)
    bag = []
    for number in range(count):
        while len(bag) < GESTURES_A_SCRIPT:
            more = SHAPES + list(MOVEMENTS)
            draw.shuffle(more)
            bag += more
        gestures, bag = bag[:GESTURES_A_SCRIPT], bag[GESTURES_A_SCRIPT:]
        yield script(draw, gestures, number)


def script(draw, gestures, number):
    lines = [camera(draw), f"seed {number + 1}; {person(draw)}", room(draw), seconds("hide", draw, 0.2, 0.8)]
    # Nobody makes a movement in the very moment in which their hand comes into view.
    lines.append(seconds("wait", draw, 0.8, 1.8))
    for gesture in gestures:
        lines.append(seconds(gesture, draw, *MOVEMENTS.get(gesture, HELD)))
        rest = draw.random()
        if rest < 0.10:
            lines.append(seconds("hide", draw, 0.6, 2.0))
            lines.append(seconds("wait", draw, 0.8, 1.8))
        elif rest < 0.22:
            lines.append(seconds(draw.choice(OTHERS), draw, 0.6, 1.6))
        elif rest < 0.85:
            lines.append(seconds("wait", draw, 0.3, 2.0))
    lines.append(seconds("wait", draw, 0.9, 1.5))
    return "\n".join(lines) + "\n"


def camera(draw):
    """A camera, and where the hand is before it."""
    width, height, _ = draw.choices(CAMERAS, [weight for *_, weight in CAMERAS])[0]
    fov = draw.uniform(50, 78)
    metres_wide = 2 * math.tan(math.radians(fov) / 2)
    nearest = max(SMALLEST_VIEW[0] / metres_wide, SMALLEST_VIEW[1] / (metres_wide * height / width))
    distance = nearest * draw.uniform(1, FARTHEST)
    # The farther away, the more room there is.
    off = 0.5 - nearest / distance / 2
    x, y = 0.5 + draw.uniform(-off, off) * 0.8, 0.52 + draw.uniform(-off, off) * 0.5
    view = f"size {width}x{height}; fps {draw.choice(RATES)}; fov {fov:.1f}deg; pitch {draw.uniform(-12, 15):.1f}deg; roll {draw.uniform(-5, 5):.1f}deg"
    return f"{view}\ndistance {distance:.3f}m; at {x:.3f} {y:.3f}"


def person(draw):
    return f"hand {draw.choice(['left', 'right'])}; hand-size {draw.uniform(0.8, 1.1):.2f}; skin {draw.randint(1, 6)}"


def room(draw):
    return f"light {draw.uniform(0.4, 1.3):.2f}; lamp {draw.uniform(-70, 70):.0f}deg; background {draw.randint(0, 5)}; noise {draw.uniform(0.003, 0.02):.4f}"


def seconds(word, draw, shortest, longest):
    return f"{word} {draw.uniform(shortest, longest):.2f}s"
