"""Measure a gesture model on real pose sequences that no training saw; one table.

    PALMD_MEDIA=... python models/train/evaluate.py [models/gestures.onnx ...]

Several models (seeds) give the mean and the lowest figure. The rules are plain: a movement fires when p > 0.7 on three
consecutive windows, at most every 0.8 s and again only after it fell below 0.4; a shape when p > 0.7 for 0.3 s, and again after it ended. Single
windows (static sets) count when p > 0.7.
"""

import argparse
import json
import os
import pathlib
import sys

import numpy as np
import onnxruntime

import hand
from sequences import Media

POSES, RATE_HZ = 30, 15
LEAST_REAL = 8
SURE, RELEASED = 0.7, 0.4
IN_A_ROW, COOL_DOWN, HOLD = 3, 12, 5
HERE = pathlib.Path(__file__).resolve().parent


class Model:
    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.labels = json.loads(self.session.get_modelmeta().custom_metadata_map["labels"])
        self.shapes = [i for i, l in enumerate(self.labels[:8])]
        self.none = len(self.labels) - 1

    def windows(self, windows):
        """Probabilities of windows (n, 30, 21, 3)."""
        return np.concatenate([self.session.run(["probabilities"], {"poses": w[None].astype(np.float32)})[0] for w in windows])

    def stream(self, poses):
        """Probabilities after each pose of one hand from the eighth on, (frames - 7, labels)."""
        if len(poses) < LEAST_REAL:
            return np.zeros((0, len(self.labels)))
        padded = np.concatenate([poses[:1].repeat(POSES, 0), poses])
        return self.windows([padded[i + 1 : i + 1 + POSES] for i in range(LEAST_REAL - 1, len(poses))])

    def events(self, poses, armed_after=0.0):
        """(time in seconds, label) of what the rules fire on one hand's poses."""
        p = self.stream(poses)
        fired = []
        row = np.zeros(len(self.labels), int)
        quiet_until = -1
        released = np.ones(len(self.labels), bool)
        for i, probabilities in enumerate(p):
            time = (i + LEAST_REAL - 1) / RATE_HZ
            row = np.where(probabilities > SURE, row + 1, 0)
            released |= probabilities < RELEASED
            for c in range(self.none):
                if c < 8:
                    if row[c] == HOLD:
                        fired.append((time, self.labels[c]))
                elif row[c] >= IN_A_ROW and released[c] and i >= quiet_until and time >= armed_after:
                    fired.append((time, self.labels[c]))
                    quiet_until = i + COOL_DOWN
                    released[c] = False
        return fired


MOVEMENTS = {"swipe-left", "swipe-right", "swipe-up", "swipe-down", "wave", "push", "circle-cw", "circle-ccw", "pinch", "spread"}


def recall(model, streams, wanted):
    """Share of streams in which `wanted` fired, and in which some other movement did."""
    events = [{e for _, e in model.events(s)} for s in streams]
    found = np.mean([wanted in e for e in events])
    wrong = np.mean([bool((e & MOVEMENTS) - {wanted}) for e in events])
    return found, wrong


def per_minute(model, streams, armed_after=0.0, outside=None):
    """Movement and shape events a minute; `outside` gives intervals (seconds) that don't count."""
    moved = held = seconds = 0
    names = {}
    for k, s in enumerate(streams):
        busy = outside[k] if outside else []
        free = np.ones(len(s), bool)
        for a, b in busy:
            free[int(a * RATE_HZ) : int((b + 0.7) * RATE_HZ) + 1] = False
        seconds += free.sum() / RATE_HZ
        for time, name in model.events(s, armed_after):
            if free[min(int(time * RATE_HZ), len(s) - 1)]:
                moved += name in MOVEMENTS
                held += name not in MOVEMENTS
                names[name] = names.get(name, 0) + 1
    return 60 * moved / max(seconds, 1), 60 * held / max(seconds, 1), seconds / 60, names


PICTURES = {
    "thumb_up": "thumb-up", "thumbs": "thumb-up", "i_love_you": "i-love-you", "okay": "ok",
    "pointing_up": "point-up", "victory": "victory", "vsign": "victory",
}  # fmt: skip


def measure(model, media):
    """Rows of (what, figure in percent or events a minute, remark)."""
    label = model.labels.index
    percent = lambda name, value, remark="": (name, 100 * value, "%", remark)

    known, call = [], []
    remark = []
    for name, window in media.pictures():
        wanted = next((l for key, l in PICTURES.items() if key in name), None)
        p = model.windows([window])[0]
        if wanted:
            known.append(p[label(wanted)] > SURE)
            if not known[-1]:
                remark.append(f"{name}: {model.labels[p.argmax()]} {p.max():.2f}")
        elif name.startswith("mp_call"):
            call.append(p[:-1].max() < SURE)
    yield percent("pictures of known shapes", np.mean(known), "; ".join(remark))
    yield percent("pictures of mp_call rejected", np.mean(call))

    for name, windows in media.kazuhito().items():
        p = model.windows(windows[::3])
        sure = np.where(p.max(1) > SURE, p.argmax(1), model.none)
        most = np.bincount(sure, minlength=len(model.labels))
        remark = ", ".join(f"{model.labels[i]} {100 * most[i] / len(p):.0f}" for i in np.argsort(-most)[:3])
        yield percent(f"kazuhito {name}", np.mean(sure == label(name)), remark)

    sets = [
        ("tobic okay", media.tobic(4), "ok"),
        ("sc0rp takeoff", media.mp_data("sc0rp10n16", 7), "victory"),
        ("sc0rp forward", media.mp_data("sc0rp10n16", 2), "open-palm"),
        ("A iloveyou (not 4, 6)", media.mp_data("people_hello_thanks_iloveyou_A", 2, [0, 1, 2, 8, 10]), "i-love-you"),
        ("wandererr01 wave", media.mp_data("wandererr01", 4), "wave"),
    ]
    directions = ["swipe-up", "swipe-down", "swipe-left", "swipe-right"]
    for name in ("v33to_seq", "v33to_seq_enhanced"):
        sets += [(f"{name} {d}", media.v33to(name, i), d) for i, d in enumerate(directions)]
        if name == "v33to_seq":
            sets += [(f"{name} spread", media.v33to(name, 4), "spread"), (f"{name} pinch", media.v33to(name, 5), "pinch")]
    sets += [(f"SHREC'17 {d}", media.shrec(i), d) for d, i in (("swipe-right", 7), ("swipe-left", 8), ("swipe-up", 9), ("swipe-down", 10))]
    sets += [("SHREC'17 pinch", media.shrec(4), "pinch"), ("SHREC'17 expand", media.shrec(3), "spread")]
    for name, streams, wanted in sets:
        found, wrong = recall(model, streams, wanted)
        yield percent(name, found, f"another movement {100 * wrong:.0f} %, n {len(streams)}")

    for wanted, index in (("circle-cw", 1), ("circle-ccw", 2)):
        streams = pointing(media.point_history(index)[::3])
        found, wrong = recall(model, streams, wanted)
        yield percent(f"point_history {wanted}", found, f"another movement {100 * wrong:.0f} %")

    for name, streams in (
        ("horns rejected", media.mp_data("people_hello_thanks_iloveyou_A", 2, [4, 6])),
        ("v33to_seq rotations quiet", media.v33to("v33to_seq", 6) + media.v33to("v33to_seq", 7)),
        ("v33to_diverse unknown quiet", media.v33to("v33to_seq_diverse", 8)),
        ("point_history stop, move quiet", pointing(np.concatenate([media.point_history(0)[::6], media.point_history(3)[::6]]))),
    ):
        if not streams:
            continue
        quiet = [not ({e for _, e in model.events(s)} & (MOVEMENTS if "quiet" in name else {"i-love-you"})) for s in streams]
        yield percent(name, np.mean(quiet), f"n {len(streams)}")

    def false(name, streams, **options):
        moved, held, minutes, names = per_minute(model, streams, **options)
        remark = f"in {minutes:.1f} min: " + ", ".join(f"{k} {v}" for k, v in sorted(names.items(), key=lambda i: -i[1]))
        yield (f"{name}: movements a minute", moved, "", remark)
        yield (f"{name}: shapes a minute", held, "", "")

    streams, busy = zip(*media.sfinge())
    yield from false("SFINGE outside gestures", streams, outside=busy, armed_after=1.0)
    yield from false("clips (armed after 1 s)", [s for _, s in media.clips()], armed_after=1.0)
    yield from false("kairess come, away", media.kairess(0) + media.kairess(1), armed_after=1.0)
    wags = [s for name, labels in (("wandererr01", (0, 1, 2, 3)), ("leyna", range(5)), ("sc0rp10n16", (0, 1, 4, 5, 6, 8))) for l in labels for s in media.mp_data(name, l)]
    yield from false("wags, drone poses", wags)
    words = [s for l in (0, 1) for s in media.mp_data("people_hello_thanks_iloveyou_A", l)]
    yield from false("hello, thanks", words)


def pointing(tips):
    """A plain pointing hand moved along recorded tips (n, 16, 2), held before and after."""
    rng = np.random.default_rng(0)
    person = hand.Person(rng, 1)
    points = hand.pose(person, hand.SHAPES["point"][None, None])[0, 0] * [1, -1, 1] * 0.3
    out = []
    for tip in tips:
        p = points[None] - points[8] + np.concatenate([tip + [0.5, 0.3], np.zeros((16, 1))], 1)[:, None]
        p[..., 2] = points[:, 2]
        p = np.concatenate([p[:1].repeat(22, 0), p, p[-1:].repeat(6, 0)])
        out.append(p + rng.normal(0, 0.001, p.shape) * [1, 1, 0])
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=pathlib.Path, default=[HERE.parent / "gestures.onnx"])
    args = parser.parse_args()
    folder = os.environ.get("PALMD_MEDIA")
    if not folder:
        sys.exit("PALMD_MEDIA is not set: it names the folder with `sequences`, `clips` and `pictures.mediapipe.json`")
    media = Media(folder)
    tables = [list(measure(Model(path), media)) for path in args.models]
    for rows in zip(*tables):
        name, _, unit, remark = rows[0]
        values = [r[1] for r in rows]
        spread = f" ({min(values):.1f} to {max(values):.1f})" if len(values) > 1 else ""
        print(f"{name:45s} {np.mean(values):6.1f} {unit:1s}{spread}  {remark}")


if __name__ == "__main__":
    main()
