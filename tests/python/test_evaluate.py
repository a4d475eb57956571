"""The measuring of gestures: scripts, scores and the page. What needs numpy is skipped where it isn't there."""

import math
import sys
import tempfile
import unittest
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).parents[2] / "evaluate"))
sys.dont_write_bytecode = True

import page  # noqa: E402
import rendered  # noqa: E402
import scripts  # noqa: E402
from program import Palmd, microseconds_up  # noqa: E402
from score import Score, median_ms  # noqa: E402
from table import Row, figures, shares  # noqa: E402

try:
    import numpy
    import sequences
except ImportError:
    numpy = None


def truth(*intervals):
    return {"duration": 60.0, "intervals": [{"gesture": g, "start": a, "end": b} for g, a, b in intervals]}


class Scripts(unittest.TestCase):
    def test_a_seed_always_gives_the_same_scripts(self):
        self.assertEqual(list(scripts.scripts(3, 7)), list(scripts.scripts(3, 7)))
        self.assertNotEqual(list(scripts.scripts(3, 7)), list(scripts.scripts(3, 8)))

    def test_every_gesture_comes_up_equally_often(self):
        words = Counter(line.split()[0] for script in scripts.scripts(30, 1) for line in script.splitlines())
        self.assertEqual({words[g] for g in [*scripts.SHAPES, *scripts.MOVEMENTS]}, {10})

    def test_the_gestures_are_the_programs(self):
        source = (Path(__file__).parents[2] / "src" / "gesture" / "mod.rs").read_text()
        for gesture in [*scripts.SHAPES, *scripts.MOVEMENTS]:
            self.assertIn(f'"{gesture}",', source)

    def test_strokes_stay_in_the_picture(self):
        for script in scripts.scripts(100, 3):
            words = script.replace(";", "").replace("\n", " ").split()
            after = lambda word: words[words.index(word) + 1]
            width, height = map(int, after("size").split("x"))
            x, y = (float(words[words.index("at") + i]) for i in (1, 2))
            metres = 2 * float(after("distance")[:-1]) * math.tan(math.radians(float(after("fov")[:-3])) / 2)
            # Half the room that strokes need lies on each side of the hand.
            self.assertGreaterEqual(metres * min(x, 1 - x), 0.245)
            self.assertGreaterEqual(metres * height / width * min(y, 1 - y), 0.185)


class Scores(unittest.TestCase):
    def test_events_hit_repeat_or_are_false(self):
        score = Score()
        events = [(0.95, "fist"), (1.5, "fist"), (2.6, "wave"), (5.0, "wave"), (9.9, "push"), (30.0, "push")]
        score.add(events, truth(("fist", 1, 2), ("wave", 4, 5), ("push", 10.1, 11), ("ok", 20, 21)))
        self.assertEqual(dict(score.found), {"fist": 1, "wave": 1, "push": 0, "ok": 0})
        self.assertEqual(score.repeats, 1)
        self.assertEqual(score.recall, 50)
        expected = {("wave", "after fist"): 1, ("push", "before push"): 1, ("push", "between gestures"): 1}
        self.assertEqual(score.false, expected)
        self.assertEqual(score.false_a_minute, 3)
        self.assertEqual([(g, t) for _, g, t in score.missed], [("push", 10.1), ("ok", 20)])

    def test_two_intervals_of_a_gesture_are_hit_one_after_the_other(self):
        score = Score()
        score.add([(1.1, "wave"), (1.6, "wave"), (1.7, "wave")], truth(("wave", 0, 1), ("wave", 1.2, 2)))
        self.assertEqual((score.found["wave"], score.repeats), (2, 1))

    def test_delays_are_medians_less_the_hold_time(self):
        delays = {"fist": [0.5, 0.3], "ok": [0.9]}
        self.assertAlmostEqual(median_ms(delays), 500)
        self.assertAlmostEqual(median_ms(delays, lambda gesture: {"fist": 0.3, "ok": 0.5}[gesture]), 200)

    def test_hold_times_are_those_of_the_shipped_rules(self):
        self.assertGreater(rendered.hold_times()("fist"), 0)
        self.assertEqual([rendered.in_seconds(text) for text in ("300ms", "0s", "1.5 s")], [0.3, 0, 1.5])


class Table(unittest.TestCase):
    def test_several_models_give_a_range_and_are_judged_together(self):
        row = lambda value: Row("shapes", "fists", value, "%", ">= 90", "10")
        (figure,) = figures([[row(88.0)], [row(92.5)]])
        self.assertEqual((figure.text(), figure.verdict), ("88.0 to 92.5 %", "partly"))
        self.assertEqual(figures([[row(90.0)]])[0].verdict, "yes")
        rate = Row("false", "clips", 0.0, "", "<= 0")
        self.assertEqual([figures([[rate]])[0].verdict, figures([[rate]])[0].text()], ["yes", "0.00"])

    def test_shares_name_the_most_frequent(self):
        self.assertEqual(shares({"fist": 10, "wave": 30, "ok": 0}, 100), "wave 30, fist 10")

    def test_the_page_and_its_picture_hold_what_was_measured(self):
        rows = [Row("shapes", "`fist` & co", 93.25, "%", ">= 90", "12", "nothing 7"), Row("rendered", "delay", float(180), "ms", "<= 150")]
        with tempfile.TemporaryDirectory() as folder:
            page.write(figures([rows]), ["gestures.onnx"], Path(folder))
            text = (Path(folder) / "evaluation.md").read_text()
            ElementTree.parse(Path(folder) / "evaluation.svg")
        self.assertIn("| `fist` & co | ≥ 90 % | 93.2 % | 12 | nothing 7 |", text)
        self.assertIn("| **180 ms** |", text)


# Answers each pose line in the way of the program: a fist starts at a hand's second pose, and a hand that is gone leaves.
FAKE = """#!/usr/bin/env python3
import json, sys
seen = {}
for line in sys.stdin:
    frame = json.loads(line)
    for hand in frame["hands"]:
        seen[hand["track"]] = seen.get(hand["track"], 0) + 1
        if seen[hand["track"]] == 2:
            for phase in ("start", "end"):
                print(json.dumps({"type": "gesture", "phase": phase, "gesture": "fist", "track": hand["track"], "t": frame["t"]}))
"""


class Program(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.program = Path(folder.name) / "palmd"

    def install(self, text):
        self.program.write_text(text)
        self.program.chmod(0o755)
        return Palmd(self.program, Path("models"))

    def test_a_failure_ends_with_what_the_program_said(self):
        palmd = self.install("#!/bin/sh\necho no such model >&2\nexit 78\n")
        with self.assertRaises(SystemExit) as stopped:
            palmd.watch("synthetic:fist")
        self.assertIn("run: no such model", str(stopped.exception))

    def test_times_do_not_fall_before_their_tick(self):
        for tick in range(1, 2000):
            t = float(f"{microseconds_up(tick / 15):.6f}")
            self.assertGreaterEqual(round(t * 1e9) * 15, tick * 1_000_000_000)
            self.assertLess(t, tick / 15 + 1e-6)

    @unittest.skipUnless(numpy, "numpy is not installed")
    def test_events_find_their_piece_and_its_time(self):
        palmd = self.install(FAKE)
        still = numpy.full((30, 21, 3), 0.5)
        late = numpy.arange(30) >= 15
        pieces = [sequences.Piece(still), sequences.Piece(still[:1]), sequences.Piece(still, found=late)]
        events = [[(round(t, 3), g) for t, g in mine] for mine in palmd.classify(pieces)]
        self.assertEqual(events, [[(0.067, "fist")], [], [(1.067, "fist")]])


@unittest.skipUnless(numpy, "numpy is not installed")
class Sequences(unittest.TestCase):
    def test_pictures_are_turned_to_the_users_own_view(self):
        pose = sequences.picture(numpy.full((1, 21, 3), [0.2, 0.8, 0.1]), 0.75)
        numpy.testing.assert_allclose(pose[0, 0], [0.8, 0.6, 0.1])

    def test_metric_hands_keep_their_directions(self):
        # To the right, up and away.
        way = numpy.linspace(0, 0.2, 5)[:, None, None] * [1.0, 1.0, 1.0]
        pose = sequences.metric(numpy.full((5, 21, 3), [0.3, -0.2, 0.4]) + way)
        self.assertGreater(pose[-1, 0, 0], pose[0, 0, 0] + 0.05)
        self.assertLess(pose[-1, 0, 1], pose[0, 0, 1] - 0.05)

    def test_another_hand_is_a_jump(self):
        hand = numpy.random.default_rng(1).uniform(0, 0.2, (21, 3))
        way = numpy.array([0, 0.02, 0.04, 0, 0.5, 0.52])[:, None, None] * [1, 0, 0]
        found = numpy.array([True, True, True, False, True, True])
        self.assertEqual(list(sequences.jumps(hand + way, found)), [4])


if __name__ == "__main__":
    unittest.main()
