"""The whole program on the synthetic hand: scripts are rendered, watched, and held against what was shown."""

import collections
import concurrent.futures
import functools
import gzip
import hashlib
import json
import pathlib
import re
import shutil
import tempfile
import time
import tomllib

import scripts
from program import ROOT
from progress import progress
from score import Score, median_ms
from table import Row

# Where poses of rendered scripts are kept, for many classifiers.
KEPT = pathlib.Path(__file__).resolve().parent / ".cache" / "poses"
AT_A_TIME = 2


def rows(palmds, count, seed, once):
    """Rows for each of the programs. With `once` the video is rendered once for all of them, and only its poses are
    looked at by each; they are kept for the next time."""
    watch = functools.partial(from_poses, kept_for(palmds[0].program)) if once else from_video
    scores = [Score() for _ in palmds]
    began = time.time()
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as threads:
        done = threads.map(lambda script: watch(palmds, script), scripts.scripts(count, seed))
        for number, (truth, events) in enumerate(done):
            for score, mine in zip(scores, events):
                score.add(mine, truth, f"script {number}")
            spent = time.time() - began
            left = spent / (number + 1) * (count - number - 1)
            progress(f"rendered video: {number + 1} of {count} scripts, {spent / 60:.1f} min, {left / 60:.0f} left", last=number + 1 == count)
    return [list(table(score, count)) for score in scores]


def from_video(palmds, script):
    with tempfile.TemporaryDirectory() as folder:
        source, truth = pathlib.Path(folder) / "script.txt", pathlib.Path(folder) / "truth.json"
        source.write_text(script)
        events = [palmd.watch(f"synthetic:{source}", "--truth", truth) for palmd in palmds]
        return json.loads(truth.read_text()), events


def from_poses(folder, palmds, script):
    name = hashed(script)
    poses, truth = folder / f"{name}.ndjson.gz", folder / f"{name}.json"
    if not poses.exists():
        source = folder / f"{name}.txt"
        source.write_text(script)
        lines = palmds[0].output("pose", "--source", f"synthetic:{source}", "--smooth", "--truth", truth)
        part = poses.with_suffix(".partial")
        part.write_bytes(gzip.compress(lines, 3))
        part.rename(poses)
    lines = gzip.decompress(poses.read_bytes())
    return json.loads(truth.read_text()), [palmd.classify_lines(lines) for palmd in palmds]


def kept_for(program):
    """The folder for poses that this very program found. Those of other programs are of no more use."""
    stat = program.stat()
    folder = KEPT / hashed(f"{stat.st_size} {stat.st_mtime_ns}")
    folder.mkdir(parents=True, exist_ok=True)
    for other in KEPT.iterdir():
        if other != folder:
            shutil.rmtree(other)
    return folder


def hashed(text):
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def table(score, count):
    """The rows of one program."""
    minutes = f"{score.seconds / 60:.0f} min"
    movements, shapes = set(scripts.MOVEMENTS), set(scripts.SHAPES)
    yield Row("rendered", f"intervals of {count} random scripts found", score.recall, "%", ">= 95", str(score.intervals.total()))
    yield Row("rendered", "false events a minute", score.false_a_minute, "", "<= 0.2", minutes)
    for kind, gestures in (("movements", movements), ("shapes", shapes)):
        mine = score.false_of(gestures)
        yield Row("rendered", f"false {kind} a minute", 60 * sum(mine.values()) / score.seconds, "", "", minutes)
    n = {kind: str(sum(len(score.after_end[g]) for g in mine)) for kind, mine in (("movements", movements), ("shapes", shapes))}
    of = lambda delays, gestures: {g: d for g, d in delays.items() if g in gestures}
    yield Row("rendered", "movement: event after its end, median", median_ms(of(score.after_end, movements)), "ms", "<= 150", n["movements"])
    yield Row("rendered", "shape: start after its hold time, median", median_ms(of(score.after_start, shapes), hold_times()), "ms", "<= 100", n["shapes"])
    for gesture in [*scripts.SHAPES, *scripts.MOVEMENTS]:
        if score.intervals[gesture]:
            yield Row("rendered", f"`{gesture}` found", 100 * score.found[gesture] / score.intervals[gesture], "%", "", str(score.intervals[gesture]), confusions(score, gesture))


def confusions(score, gesture):
    """What fired falsely while the gesture was shown or just after it, and where it fired itself though it wasn't."""
    instead = collections.Counter({event: n for (event, place), n in score.false.items() if place.split(" ", 1)[1] == gesture})
    elsewhere = collections.Counter({place: n for (event, place), n in score.false.items() if event == gesture})
    parts = [f"{event} {n}" for event, n in instead.most_common(3)]
    if elsewhere:
        parts.append("falsely " + ", ".join(f"{place} {n}" for place, n in elsewhere.most_common(3)))
    return "; ".join(parts)


def hold_times():
    """A function that gives a shape's hold time in seconds, as the shipped configuration has it."""
    with open(ROOT / "systemd" / "palmd.toml", "rb") as file:
        rules = tomllib.load(file)["rules"]
    of_shapes, own = rules["shapes"]["hold-time"], rules.get("gesture", {})
    return lambda gesture: in_seconds(own.get(gesture, {}).get("hold-time", of_shapes))


def in_seconds(text):
    number, unit = re.fullmatch(r"([0-9.]+) ?(ms|s)", text).groups()
    return float(number) / (1000 if unit == "ms" else 1)
