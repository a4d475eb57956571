"""Measure the recipe, not the model: the same network trained on other people's recorded hands, tested on people it never saw.

    PALMD_MEDIA=DIR python models/train/recipe.py shrec [--folds N]    14 gestures of SHREC'17, subjects left out
    PALMD_MEDIA=DIR python models/train/recipe.py sfinge --palmd FILE  SFINGE 3D: dictionary and half of the streams, tested on the other half

Nothing of this ships. Windows are those of the program: 30 poses at 15 Hz, projected by a pinhole camera. The streams' events come from
the program itself (`palmd classify`), with its rules.
"""

import argparse
import os
import pathlib
import sys
import tempfile
import time

import numpy as np
import torch
from torch import nn

import network

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "evaluate"))

from program import Palmd  # noqa: E402
from score import Score  # noqa: E402
from sequences import FEWEST_POSES, RATE_HZ, Media, Piece, metric  # noqa: E402

POSES = network.POSES
BATCH = 64
PEAK_RATE, DECAY, SMOOTHING = 3e-3, 0.03, 0.1
# Training windows end from this share of a gesture on to so many poses after it.
FROM, AFTER = 0.75, 6
SFINGE_HZ = 20
# Up to this share of a gesture a window may still be called none.
QUIET = 0.25
# The probabilities from which on a gesture of the streams counts, the shipped one first.
ENTER = [0.7, 0.8, 0.9]


class Recordings:
    """Metric poses at 15 Hz, one after the other, and windows cut out of them."""

    def __init__(self, sequences, rate_hz):
        at_15 = [resampled(s, rate_hz) for s in sequences]
        self.length = np.array([len(s) for s in at_15])
        self.first = np.concatenate([[0], np.cumsum(self.length)[:-1]])
        self.poses = np.concatenate(at_15).astype(np.float32)

    def windows(self, which, end, pace=1.0):
        """Windows (n, 30, 21, 3) that end at pose `end` of sequence `which`; what lies outside is held."""
        at = end[:, None] - np.arange(POSES - 1, -1, -1) * np.broadcast_to(pace, len(end))[:, None]
        at = np.clip(at, 0, self.length[which][:, None] - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, self.length[which][:, None] - 1)
        share = (at - low)[..., None, None].astype(np.float32)
        first = self.first[which][:, None]
        return self.poses[first + low] * (1 - share) + self.poses[first + high] * share


def resampled(poses, rate_hz):
    at = np.arange(0, len(poses) - 1 + 1e-9, rate_hz / RATE_HZ)
    low = np.floor(at).astype(int)
    share = (at - low)[:, None, None]
    return poses[low] * (1 - share) + poses[np.minimum(low + 1, len(poses) - 1)] * share


def projected(windows):
    """The window as the program's grid would give it."""
    return torch.from_numpy(np.stack([metric(w) for w in windows]).astype(np.float32))


def varied(windows, rng):
    """Seen from elsewhere, a hand of another size, with the noise of a sensor."""
    n = len(windows)
    about = rng.normal(0, [0.15, 0.15, 0.12], (n, 3))
    middle = windows.mean((1, 2), keepdims=True)
    p = np.einsum("nij,npkj->npki", rotations(about), windows - middle)
    p *= rng.uniform(0.85, 1.15, (n, 1, 1, 1))
    p += rng.normal(0, 0.001, p.shape) + rng.normal(0, 0.003, (n, 1, 21, 3))
    middle[..., 2] = np.maximum(middle[..., 2] + rng.normal(0, 0.05, (n, 1, 1)), 0.3)
    return p + middle


def rotations(angles):
    """Matrices (n, 3, 3) of small turns about x, y and z."""
    sin, cos = np.sin(angles), np.cos(angles)
    out = np.eye(3)[None]
    for axis in range(3):
        turn = np.zeros((len(angles), 3, 3))
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn[:, axis, axis] = 1
        turn[:, i, i] = turn[:, j, j] = cos[:, axis]
        turn[:, i, j], turn[:, j, i] = -sin[:, axis], sin[:, axis]
        out = out @ turn
    return out


def fit(draw, labels, steps, seed, told):
    """A network trained on `steps` batches of what `draw(rng)` gives: metric windows and their labels."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = network.Network(labels, 1)
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=steps, pct_start=0.15)
    loss_of = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    began, total = time.time(), 0.0
    for step in range(steps):
        windows, label = draw(rng)
        loss = loss_of(net(projected(varied(windows, rng)))[0], torch.from_numpy(label))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimiser.step()
        schedule.step()
        total += loss.item()
        if (step + 1) % 200 == 0:
            spent = time.time() - began
            print(f"{told}: step {step + 1}/{steps}, loss {total / 200:.3f}, {spent / 60:.1f} min, {spent / (step + 1) * (steps - step - 1) / 60:.1f} left", flush=True)
            total = 0.0
    return net.eval()


def parameters(labels):
    return sum(p.numel() for name, p in network.Network(labels, 1).named_parameters() if not name.startswith("kinds"))


def shrec(media, args):
    """Accuracy over 14 gestures, on subjects that were left out."""
    d = media.arrays("shrec17_train")
    o = d["offsets"]
    recordings = Recordings([d["pose"][a:b] for a, b in zip(o, o[1:])], 30)
    label, subject = d["label14"].astype(np.int64) - 1, d["subject"]
    people = np.random.default_rng(0).permutation(np.unique(subject))
    confusion = np.zeros((14, 14), int)
    shares = []
    for fold, left_out in enumerate(np.array_split(people, 5)[: args.folds]):
        test = np.isin(subject, left_out)
        train = np.flatnonzero(~test)

        def draw(rng):
            which = rng.choice(train, BATCH)
            last = recordings.length[which] - 1
            return recordings.windows(which, rng.uniform(FROM * last, last + AFTER), rng.uniform(0.8, 1.25, BATCH)), label[which]

        net = fit(draw, 14, args.steps, args.seed, f"SHREC'17, fold {fold + 1}")
        said = np.array([decide(net, recordings, i) for i in np.flatnonzero(test)])
        np.add.at(confusion, (label[test], said), 1)
        shares.append(100 * np.mean(said == label[test]))
        print(f"fold {fold + 1}: subjects {sorted(left_out.tolist())} left out, {shares[-1]:.1f} % of {test.sum()}", flush=True)
    print(f"SHREC'17, 14 gestures, subjects left out: {100 * np.trace(confusion) / confusion.sum():.1f} % of {confusion.sum()} ({min(shares):.1f} to {max(shares):.1f}), {parameters(14)} parameters")
    names = "grab tap expand pinch rotate-cw rotate-ccw right left up down x + v shake".split()
    for i, row in enumerate(confusion):
        others = [f"{names[j]} {row[j]}" for j in np.argsort(-row) if j != i and row[j]]
        print(f"  {names[i]:10s} {100 * row[i] / max(row.sum(), 1):5.1f} % of {row.sum()}  {', '.join(others[:4])}")


def decide(net, recordings, i):
    """The label of a whole sequence: the mean of its windows' probabilities."""
    last = recordings.length[i] - 1
    end = np.arange(FROM * last, last + AFTER, 2.0)
    with torch.no_grad():
        logits = net(projected(recordings.windows(np.full(len(end), i), end)))[0]
    return int(torch.softmax(logits, 1).mean(0).argmax())


def sfinge(media, args):
    """Share of labelled gestures of every other stream that the program finds, and its false events per gesture."""
    dictionary, streams = media.arrays("sfinge3d_dictionary"), media.arrays("sfinge3d_stream_odd")
    poses, label, marked = [], [], []
    for d in (dictionary, streams):
        poses += [d["pose"][a:b] for a, b in zip(d["offsets"], d["offsets"][1:])]
    alone = len(dictionary["offsets"]) - 1
    trained = [i for i, _ in enumerate(streams["sequence"]) if i % 2 == 0]
    tested = [i for i, _ in enumerate(streams["sequence"]) if i % 2]
    numbers = sorted(set(dictionary["label"].tolist()))
    # (sequence, label, first and last pose) of what is trained on.
    marked = [(i, numbers.index(l), 0, len(poses[i]) * RATE_HZ / SFINGE_HZ) for i, l in enumerate(dictionary["label"])]
    free = []
    for i in trained:
        end = len(poses[alone + i]) * RATE_HZ / SFINGE_HZ
        mine = [(numbers.index(l), *(np.array([a, b]) * RATE_HZ / SFINGE_HZ)) for l, a, b in intervals(streams, i)]
        marked += [(alone + i, *m) for m in mine]
        quiet = [t for t in range(FEWEST_POSES, int(end)) if not any(a + QUIET * (b - a) < t < b + RATE_HZ for _, a, b in mine)]
        free += [(alone + i, t) for t in quiet]
    recordings = Recordings(poses, SFINGE_HZ)
    marked, free, nothing = np.array(marked), np.array(free), len(numbers)

    def draw(rng):
        m, f = marked[rng.choice(len(marked), BATCH * 2 // 3)], free[rng.choice(len(free), BATCH - BATCH * 2 // 3)]
        start, end = m[:, 2], m[:, 3]
        ends = np.concatenate([rng.uniform(start + FROM * (end - start), end + AFTER), f[:, 1]])
        which = np.concatenate([m[:, 0], f[:, 0]]).astype(int)
        label = np.concatenate([m[:, 1], np.full(len(f), nothing)]).astype(np.int64)
        return recordings.windows(which, ends, rng.uniform(0.8, 1.25, BATCH)), label

    net = fit(draw, nothing + 1, args.steps, args.seed, "SFINGE")
    names = [f"gesture-{n}" for n in numbers]
    pieces = [Piece(metric(poses[alone + i]), SFINGE_HZ) for i in tested]
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "sfinge.onnx"
        network.export(net, file, [*names, "none"], {"version": "1"})
        print(f"SFINGE, half of the streams, {parameters(nothing + 1)} parameters")
        for enter in ENTER:
            rules = "".join(f"[rules.gesture.{name}]\nkind = 'movement'\nenter = {enter}\n" for name in names)
            score = Score()
            for i, piece, events in zip(tested, pieces, Palmd(args.palmd, ROOT / "models", file, rules).classify(pieces)):
                truth = [{"gesture": f"gesture-{l}", "start": a / SFINGE_HZ, "end": b / SFINGE_HZ} for l, a, b in intervals(streams, i)]
                score.add(events, {"duration": piece.seconds, "intervals": truth})
            n = score.intervals.total()
            print(f"probability {enter}: {score.recall:.1f} % of {n} gestures found, {100 * score.false.total() / n:.1f} % false")
            print("  missed:", ", ".join(f"{name} {k} of {score.intervals[name]}" for name in names if (k := score.intervals[name] - score.found[name])) or "none")
            print("  false:", ", ".join(f"{event} {place} {k}" for (event, place), k in score.false.most_common(8)) or "none")


def intervals(streams, i):
    """(label, start, end) in the stream's own poses."""
    return streams["gt"][streams["gt"][:, 0] == streams["sequence"][i]][:, 1:].tolist()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["shrec", "sfinge"])
    parser.add_argument("--folds", type=int, default=5, help="of five groups of subjects, so many are left out in turn (default %(default)s)")
    parser.add_argument("--steps", type=int, default=3000, help="batches (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--palmd", type=pathlib.Path, default=ROOT / "target" / "release" / "palmd")
    args = parser.parse_args()
    folder = os.environ.get("PALMD_MEDIA")
    if not folder:
        sys.exit("PALMD_MEDIA is not set: it names the folder with `sequences`")
    torch.set_num_threads(1)
    {"shrec": shrec, "sfinge": sfinge}[args.what](Media(folder), args)


if __name__ == "__main__":
    main()
