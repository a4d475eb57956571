"""Recorded hands of other people, read into pieces that the program can be shown. For measuring only.

`PALMD_MEDIA` names the folder that holds `sequences/`, `clips/` and `pictures.mediapipe.json`. Each set was
recorded in its own way; its reader says how. Every piece comes out in the user's own view (a swipe to the left
goes towards smaller x): x right, y down, z away, one unit the picture's width, at the rate at which it was recorded.
"""

import dataclasses
import functools
import json
import pathlib

import numpy as np

RATE_HZ = 15
# The program fires no movement in the first second after a hand appears. Sets that begin with the movement get the
# first pose held for so long, and the last one until a window can have been called by it.
BEFORE, AFTER = 28, 8
# Fewer poses than this are never classified (`window.min-poses`).
FEWEST_POSES = 8
SMALLEST_Z = 0.15


@dataclasses.dataclass
class Piece:
    """One hand's recording."""

    poses: np.ndarray  # (frames, 21, 3)
    rate_hz: float = RATE_HZ
    # Frames in which the hand was found; None for all.
    found: np.ndarray | None = None
    # Labelled intervals in seconds, in which events are not judged.
    busy: list = dataclasses.field(default_factory=list)
    name: str = ""

    @property
    def seconds(self):
        return len(self.poses) / self.rate_hz


class Media:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    @functools.lru_cache(maxsize=2)
    def arrays(self, name):
        """The set's arrays, unpacked once."""
        with np.load(self.folder / "sequences" / f"{name}.npz") as packed:
            return dict(packed)

    def mp_data(self, name, label, persons=None):
        """Thirty poses at about 15 Hz, 4:3, not mirrored; without a hand `valid` is 0."""
        d = self.arrays(name)
        chosen = d["label"] == label
        if persons is not None:
            chosen &= np.isin(d["person"], persons)
        for poses, valid in zip(d["pose"][chosen], d["valid"][chosen] > 0):
            if valid.sum() >= FEWEST_POSES:
                yield Piece(picture(poses, 0.75), found=valid)

    def tobic(self, label):
        """Wrist-relative, each frame scaled for itself; mirrored like the user's own view."""
        d = self.arrays("tobic_originals")
        chosen = d["label"] == label
        for poses, valid in zip(d["pose"][chosen], d["valid"][chosen] > 0):
            if valid.sum() >= FEWEST_POSES:
                yield Piece(poses * 0.25 + [0.5, 0.5, 0], found=valid)

    def v33to(self, name, label):
        """Ten poses in hand sizes, left is +x, depth is of no use; held before and after."""
        d = self.arrays(name)
        for poses in d["pose"][d["label"] == label]:
            p = poses * [-0.12, 0.12, 0.0]
            yield Piece(held(p - p.mean((0, 1)) + [0.5, 0.375, 0]))

    def kazuhito(self):
        """Single poses of four sets, each held for two seconds with a little jitter. Every third: they are frames of films."""
        label, xy = self.keypoints()
        poses = np.concatenate([xy * 0.25 + [0.5, 0.45], np.zeros((*xy.shape[:2], 1))], -1)
        hand, finger = off_upright(xy[:, 9] - xy[:, 0]), off_upright(xy[:, 8] - xy[:, 5])
        sets = {
            "Open": (label == 0) & (hand < 45),
            "Close": (label == 1) & (hand < 45),
            "Pointer up": (label == 2) & (finger < 40),
            "Pointer sideways": (label == 2) & (finger > 75),
        }
        rng = np.random.default_rng(0)
        return {name: [Piece(jittered(p, 0.0012, rng)) for p in poses[chosen][::3]] for name, chosen in sets.items()}

    @functools.lru_cache(maxsize=1)
    def keypoints(self):
        table = np.loadtxt(self.folder / "sequences" / "kazuhito00_keypoint.csv", delimiter=",")
        return table[:, 0], table[:, 1:].reshape(-1, 21, 2)

    def point_history(self, label):
        """Sixteen finger-tips, 16:9. The hand wasn't recorded: one of the pointing hands of the same collection, the
        most usual, is carried along."""
        label_of, xy = self.keypoints()
        pointing = xy[(label_of == 2) & (off_upright(xy[:, 8] - xy[:, 5]) < 40)]
        usual = pointing[np.abs(pointing - np.median(pointing, 0)).sum((1, 2)).argmin()]
        hand = np.concatenate([(usual - usual[8]) * 0.28, np.zeros((21, 1))], 1)
        table = np.loadtxt(self.folder / "sequences" / "kazuhito00_point_history.csv", delimiter=",")
        rng = np.random.default_rng(0)
        for tips in table[table[:, 0] == label][::3, 1:].reshape(-1, 16, 2) * [1, 0.5625] + [0.5, 0.3]:
            poses = held(hand[None] + np.concatenate([tips, np.zeros((16, 1))], 1)[:, None])
            yield Piece(poses + rng.normal(0, 0.001, poses.shape) * [1, 1, 0])

    def shrec(self, label):
        """Depth camera, 30 a second; the gesture begins at once, so the first pose is held before it."""
        d = self.arrays("shrec17_train")
        o = d["offsets"]
        for i in np.flatnonzero(d["label14"] == label):
            yield Piece(held(metric(d["pose"][o[i] : o[i + 1]]), 2 * BEFORE, 2 * AFTER), 30)

    def sfinge(self):
        """Streams of twenty poses a second with labelled gestures."""
        d = self.arrays("sfinge3d_stream_odd")
        o = d["offsets"]
        for i, sequence in enumerate(d["sequence"]):
            mine = d["gt"][d["gt"][:, 0] == sequence]
            yield Piece(metric(d["pose"][o[i] : o[i + 1]]), 20, busy=[(a / 20, b / 20) for a, b in mine[:, 2:]])

    def kairess(self, label):
        """A stream of half a minute, 4:3, not mirrored."""
        d = self.arrays("kairess_raw_stream")
        poses = d["pose"][d["label"] == label]
        yield Piece(picture(poses, 0.75), found=np.ptp(poses[..., 0], axis=1) > 0)

    def clips(self):
        """MediaPipe's poses of films, frame by frame, first hand. Where it jumps to another hand, a new piece begins."""
        for path in sorted((self.folder / "clips").glob("*.mediapipe.json")):
            clip = json.loads(path.read_text())
            frames = clip["track1"]
            found = np.array([bool(f) for f in frames])
            poses = picture(np.array([f[0]["landmarks"] if f else np.zeros((21, 3)) for f in frames]), clip["h"] / clip["w"])
            for part in np.split(np.arange(len(frames)), jumps(poses, found)):
                if found[part].any():
                    yield Piece(poses[part], clip["fps"], found[part], name=path.name.split(".")[0])

    def films(self):
        """The same films as files, and their frames a second."""
        for path in sorted((self.folder / "clips").glob("*.mediapipe.json")):
            yield path.with_name(path.name.replace(".mediapipe.json", ".mjpeg")), json.loads(path.read_text())["fps"]

    def pictures(self):
        """The first hand of each picture, held for two seconds."""
        rng = np.random.default_rng(0)
        for name, picture_of in json.loads((self.folder / "pictures.mediapipe.json").read_text()).items():
            if picture_of["hands"]:
                poses = picture(np.array(picture_of["hands"][0]["landmarks"]), picture_of["h"] / picture_of["w"])
                yield Piece(jittered(poses, 0.004 * np.ptp(poses[:, 1]), rng), name=name)


def picture(poses, height):
    """From MediaPipe's 0..1 on both axes, seen by the camera, to picture widths in the user's own view."""
    p = np.array(poses, float)
    p[..., 1] *= height
    p[..., 0] = 1 - p[..., 0]
    return p


def metric(poses, focal=0.9):
    """Metres with y up through a pinhole camera; the hand's mean place becomes the picture's middle."""
    p = np.array(poses, float)
    z = np.maximum(p[..., 2:], SMALLEST_Z)
    p[..., :2] -= p[..., :2].mean((0, 1))
    xy = focal * p[..., :2] / z * [1, -1] + [0.5, 0.375]
    depth = focal * (p[..., 2:] - p[:, :1, 2:]) / z[:, :1]
    return np.concatenate([xy, depth], -1)


def held(poses, before=BEFORE, after=AFTER):
    """With the first and the last pose held."""
    return np.concatenate([poses[:1].repeat(before, 0), poses, poses[-1:].repeat(after, 0)])


def jittered(pose, deviation, rng, poses=30):
    """One pose, held by a hand that is not quite still."""
    return pose[None] + rng.normal(0, deviation, (poses, 21, 3)) * [1, 1, 0]


def off_upright(vectors):
    """Degrees between directions in the picture and up."""
    return np.degrees(np.abs(np.arctan2(vectors[..., 0], -vectors[..., 1])))


def jumps(poses, found):
    """Frames in which the hand is farther from where it was than its own size: another hand."""
    at = np.flatnonzero(found)
    size = np.hypot(*np.ptp(poses[at], axis=1)[:, :2].T)
    way = np.hypot(*np.diff(poses[at].mean(1), axis=0)[:, :2].T)
    return at[1:][way > np.maximum(size[1:], size[:-1])]
