"""The program under test: what it makes of recorded poses, films and scripts.

Everything that is measured here went through palmd itself: its grid, windows, classifier and rules as they ship.
Only the classifier's file can be another one.
"""

import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Pieces of one stream stand so far apart that no state goes from one to the next.
PAUSE_SECONDS = 3
# The picture that pose lines speak of.
SIZE = (640, 480)
HAND = (
    '{"seq":%d,"t":%.6f,"size":[640,480],"hands":[{"track":%d,"hand":"right","presence":1,"landmarks":['
    + ",".join(["[%.5f,%.5f,%.5f]"] * 21)
    + '],"world":['
    + ",".join(["[0,0,0]"] * 21)
    + "]}]}\n"
)
NO_HAND = '{"seq":%d,"t":%.6f,"size":[640,480],"hands":[]}\n'


class Palmd:
    def __init__(self, program, models, classifier=None, rules=""):
        """`rules` is only for classifiers with labels of their own; palmd's are measured with those that ship."""
        self.program, self.models, self.classifier, self.rules = program, models, classifier, rules

    @property
    def name(self):
        return (self.classifier or pathlib.Path(self.models) / "gestures.onnx").name

    def output(self, command, *arguments, stdin=b""):
        """Runs a command of the program with its default configuration; returns what it writes."""
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
            if self.classifier:
                config.write(f"[gesture]\nmodel = {json.dumps(str(self.classifier.resolve()))}\n")
            config.write(self.rules)
            config.flush()
            line = [self.program, command, *arguments, "--models", self.models, "--config", config.name]
            environment = os.environ | {"RUST_LOG": "warn"}
            done = subprocess.run([str(word) for word in line], input=stdin, capture_output=True, env=environment)
        if done.returncode:
            reason = done.stderr.decode(errors="replace").strip() or f"it ended with {done.returncode}"
            sys.exit(f"{self.program} {command}: {reason}")
        return done.stdout

    def started(self, command, *arguments, stdin=b""):
        """The gestures that start, as the program's events."""
        events = map(json.loads, self.output(command, *arguments, stdin=stdin).splitlines())
        return [e for e in events if e["type"] == "gesture" and e["phase"] == "start"]

    def classify(self, pieces):
        """(seconds since its beginning, gesture) of what starts in each piece."""
        begins, lines = [], []
        now = seq = 0
        for track, piece in enumerate(pieces):
            begins.append(now)
            for i, pose in enumerate(camera_view(piece.poses)):
                t = microseconds_up(now + i / piece.rate_hz)
                seq += 1
                if piece.found is None or piece.found[i]:
                    lines.append(HAND % (seq, t, track, *pose))
                else:
                    lines.append(NO_HAND % (seq, t))
            # The hand leaves, long before the next one comes.
            seq += 1
            lines.append(NO_HAND % (seq, now + piece.seconds + 0.5))
            now += int(piece.seconds) + 1 + PAUSE_SECONDS
        events = [[] for _ in begins]
        for event in self.started("classify", "--poses", "-", stdin="".join(lines).encode()):
            events[event["track"]].append((event["t"] - begins[event["track"]], event["gesture"]))
        return events

    def classify_lines(self, lines):
        """(seconds, gesture) of what starts in recorded pose lines."""
        return [(e["t"], e["gesture"]) for e in self.started("classify", "--poses", "-", stdin=lines)]

    def watch(self, source, *options):
        """(seconds, gesture) of what starts in a film, or in the synthetic hand's script."""
        return [(e["t"], e["gesture"]) for e in self.started("run", "--source", source, "--fast", *options)]


def microseconds_up(t):
    """Rounded down, a time on the program's grid would fall before its tick."""
    return math.ceil(t * 1e6 - 1e-3) / 1e6


def camera_view(poses):
    """Numbers of each pose as a camera that faces the user sees it, x and y from 0 to 1."""
    p = poses.copy()
    p[..., 0] = 1 - p[..., 0]
    p[..., 1] *= SIZE[0] / SIZE[1]
    return p.reshape(len(p), -1).tolist()
