"""The classifier's training: the generator and takes of one's own. Skipped where numpy isn't there."""

import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "models" / "train"))
sys.dont_write_bytecode = True

try:
    import numpy as np

    import generator
    import strokes
    import takes
    from labels import LABELS
    from motion import KINDS, POSES, TIME, Motion
except ImportError:
    np = None


@unittest.skipIf(np is None, "numpy is not installed")
class Generator(unittest.TestCase):
    def test_a_seed_always_gives_the_same_windows(self):
        first, again, other = (generator.windows(seed, 80) for seed in (3, 3, 4))
        for a, b in zip(first, again):
            np.testing.assert_array_equal(a, b)
        self.assertFalse(np.array_equal(first[0], other[0]))

    def test_every_label_and_kind_is_drawn_and_finite(self):
        poses, label, kind = generator.windows(1, 4000)
        self.assertTrue(np.isfinite(poses).all())
        self.assertEqual(set(label), set(range(len(LABELS))))
        self.assertEqual(set(kind), set(range(len(KINDS))))

    def test_a_swipe_to_the_right_moves_to_the_right(self):
        for label, sign in (("swipe-right", 1), ("swipe-left", -1)):
            poses, _, _ = generator.windows(5, 300, [label])
            palm = poses[:, :, [0, 5, 9, 13, 17], 0].mean(2)
            steps = np.diff(palm, axis=1)
            fastest = steps[np.arange(len(steps)), np.abs(steps).argmax(1)]
            self.assertGreater((np.sign(fastest) == sign).mean(), 0.7, label)


@unittest.skipIf(np is None, "numpy is not installed")
class Strokes(unittest.TestCase):
    def moved(self, lengths, took, end=-0.1, degrees=0.0):
        """A hand that moves so many of its lengths, in so many seconds."""
        hand = np.zeros((3, 21, POSES, 1))
        # One unit is the hand's length: wrist to middle knuckle is 1 / 1.9 of it.
        hand[1, [5, 9, 13, 17]] = -1 / 1.9
        hand[1, [8, 12]] = -1
        far = lengths * np.clip((TIME - end) / took + 1, 0, 1)
        hand[0] += far[:, None] * np.cos(np.radians(degrees))
        hand[1] -= far[:, None] * np.sin(np.radians(degrees))
        return hand

    def test_a_stroke_is_seen_that_goes_its_way_far_and_quickly_enough(self):
        m = Motion(np.random.default_rng(1), 1)
        for lengths, took, degrees, seen in ((1.2, 0.5, 0, True), (1.2, 0.5, 90, False), (0.4, 0.3, 0, False), (0.7, 1.5, 0, False)):
            m.stroke = (0.0, np.array([-0.1 - took]), np.array([-0.1]))
            exact = self.moved(lengths, took, degrees=degrees)
            self.assertEqual(strokes.is_seen(m, exact).tolist(), [seen], (lengths, took, degrees))

    def test_what_looks_like_a_stroke_is_straight_quick_and_has_just_been(self):
        for lengths, took, end, degrees, like in (
            (1.2, 0.5, -0.1, 180, True),
            (1.2, 0.5, -0.1, 45, False),
            (1.2, 0.5, -1.0, 180, False),
            (1.2, 1.6, -0.1, 180, False),
            (0.5, 0.3, -0.1, 180, False),
        ):
            exact = self.moved(lengths, took, end, degrees)
            self.assertEqual(strokes.is_like_one(exact).tolist(), [like], (lengths, took, end, degrees))
        there_and_back = self.moved(1.2, 0.3, -0.5) - self.moved(1.2, 0.3, -0.2) + self.moved(0, 1)
        self.assertEqual(strokes.is_like_one(there_and_back).tolist(), [True], "either way by itself is one")


@unittest.skipIf(np is None, "numpy is not installed")
class Takes(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / "fist.takes.ndjson"

    def write(self, *poses, **head):
        head = {"format": "palmd takes", "version": 1, "label": "fist", "rate_hz": 15} | head
        lines = [head, *({"hand": "right", "poses": p} for p in poses)]
        self.file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return self.file

    def poses(self, n=36, moving=8):
        """A hand that moves to the right from pose 10 on."""
        hand = np.random.default_rng(1).uniform(0.3, 0.5, (21, 3))
        along = 0.04 * np.clip(np.arange(n) - 10, 0, moving)
        return (hand + along[:, None, None] * [1, 0, 0]).tolist()

    def test_windows_come_of_every_label_and_stay_finite(self):
        held = self.write(self.poses(moving=0), self.poses(moving=0))
        moved = held.with_name("swipe.takes.ndjson")
        moved.write_text(held.read_text())
        moved = self.write(self.poses(), label="swipe-right").rename(moved)
        held = self.write(self.poses(moving=0))
        poses, labels = takes.Takes([held, moved]).windows(np.random.default_rng(1), 50)
        self.assertEqual(poses.shape, (50, 30, 21, 3))
        self.assertTrue(np.isfinite(poses).all())
        self.assertEqual(set(labels), {LABELS.index("fist"), LABELS.index("swipe-right")})

    def test_a_movement_counts_around_its_end_and_a_shape_always(self):
        poses = np.array(self.poses())
        self.assertEqual(takes.ends("swipe-right", poses).tolist(), list(range(18, 26)))
        self.assertEqual(takes.ends("fist", poses).tolist(), list(range(7, 36)))

    def test_what_cant_be_used_is_said_with_the_file_and_the_line(self):
        for head, body, said in (
            ({"label": "star"}, [], "palmd learn star"),
            ({"version": 2}, [], "version 1"),
            ({"rate_hz": 30}, [], "30 poses a second"),
            ({}, [self.poses(4)], "line 2"),
            ({}, [[[[0, 0]]]], "line 2"),
            ({}, [], "palmd record"),
        ):
            with self.assertRaises(takes.TakesError) as error:
                takes.Takes([self.write(*body, **head)])
            self.assertIn(said, str(error.exception))
            self.assertIn(str(self.file), str(error.exception))


if __name__ == "__main__":
    unittest.main()
