"""Real pose sequences of other people, read into the classifier's coordinates. For measuring only.

`PALMD_MEDIA` names the folder. Everything comes out as x right, y down, z away, in frame widths, on the
15 Hz grid, in the user's own view. Which set needs what (mirror, scale, padding) is in each reader.
"""

import json
import pathlib

import numpy as np

RATE_HZ = 15
SHAPE_SETS = {"Open": "open-palm", "Close": "fist", "Pointer": "point-up"}


class Media:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def arrays(self, name):
        return np.load(self.folder / "sequences" / f"{name}.npz")

    def mp_data(self, name, wanted, persons=None):
        """Recorded unmirrored at about 15 Hz, 4:3; `valid` is 0 where no hand was found."""
        d = self.arrays(name)
        chosen = d["label"] == wanted
        if persons is not None:
            chosen &= np.isin(d["person"], persons)
        return [run for pose, valid in zip(d["pose"][chosen], d["valid"][chosen]) for run in runs(picture(pose, 0.75, mirror=True), valid > 0)]

    def tobic(self, wanted):
        """Wrist-relative, scaled for each frame, already mirrored."""
        d = self.arrays("tobic_originals")
        chosen = d["label"] == wanted
        out = []
        for pose, valid in zip(d["pose"][chosen], d["valid"][chosen]):
            out += runs(pose * 0.25 + [0.5, 0.5, 0], valid > 0)
        return out

    def v33to(self, name, wanted):
        """Ten frames, hand-size units, left is +x, no depth: held still before and after."""
        d = self.arrays(name)
        out = []
        for pose in d["pose"][d["label"] == wanted]:
            p = pose * [-0.12, 0.12, 0.0]
            p = p - p.mean((0, 1)) + [0.5, 0.375, 0]
            out.append(np.concatenate([p[:1].repeat(28, 0), p, p[-1:].repeat(8, 0)]))
        return out

    def kazuhito(self):
        """Static shapes: windows of each set, split by the direction of the hand (or the finger)."""
        table = np.loadtxt(self.folder / "sequences" / "kazuhito00_keypoint.csv", delimiter=",")
        xy = table[:, 1:].reshape(-1, 21, 2)
        pose = np.concatenate([xy * 0.25 + [0.5, 0.45], np.zeros((*xy.shape[:2], 1))], -1)
        rng = np.random.default_rng(0)
        held = pose[:, None] + rng.normal(0, 0.0012, (len(pose), 30, 21, 3)) * [1, 1, 0]
        hand, finger = xy[:, 9] - xy[:, 0], xy[:, 8] - xy[:, 5]
        off = lambda v: np.degrees(np.abs(np.arctan2(v[:, 0], -v[:, 1])))
        upright, up = off(hand) < 45, off(finger)
        label = table[:, 0]
        return {
            "open-palm": held[(label == 0) & upright],
            "fist": held[(label == 1) & upright],
            "point-up": held[(label == 2) & (up < 40)],
            "none": held[(label == 2) & (up > 75)],
        }

    def point_history(self, wanted):
        """Sixteen tips of a pointing hand whose shape is not recorded: a plain pointing hand is put under them."""
        table = np.loadtxt(self.folder / "sequences" / "kazuhito00_point_history.csv", delimiter=",")
        tips = table[table[:, 0] == wanted][:, 1:].reshape(-1, 16, 2) * [1, 0.5625]
        return tips

    def shrec(self, wanted):
        """Depth camera, metres, y up, 30 frames a second; 14 gestures."""
        d = self.arrays("shrec17_train")
        o = d["offsets"]
        return [at_15_hz(metric(d["pose"][o[i] : o[i + 1]]), 30) for i in np.flatnonzero(d["label14"] == wanted)]

    def sfinge(self):
        """Streams with labelled intervals (seconds): poses at 15 Hz and the intervals."""
        d = self.arrays("sfinge3d_stream_odd")
        o = d["offsets"]
        for i, sequence in enumerate(d["sequence"]):
            mine = d["gt"][d["gt"][:, 0] == sequence]
            yield at_15_hz(metric(d["pose"][o[i] : o[i + 1]]), 20), mine[:, 2:] / 20.0

    def kairess(self, wanted):
        d = self.arrays("kairess_raw_stream")
        pose = picture(d["pose"][d["label"] == wanted], 0.75, mirror=True)
        return runs(pose, np.ptp(pose[..., 0], axis=1) > 0)

    def clips(self):
        """MediaPipe's own tracks of the shared clips."""
        for path in sorted((self.folder / "clips").glob("*.mediapipe.json")):
            clip = json.loads(path.read_text())
            frames, shape = clip["track1"], clip["h"] / clip["w"]
            pose = np.array([f[0]["landmarks"] if f else np.zeros((21, 3)) for f in frames])
            valid = np.array([bool(f) for f in frames])
            for run in runs(picture(pose, shape, mirror=True), valid, longest_gap=3):
                if len(run) >= clip["fps"] * 0.6:
                    yield path.stem.split(".")[0], at_15_hz(run, clip["fps"])

    def pictures(self):
        """First hand of each picture, held."""
        rng = np.random.default_rng(0)
        for name, found in json.loads((self.folder / "pictures.mediapipe.json").read_text()).items():
            if found["hands"]:
                pose = picture(np.array([found["hands"][0]["landmarks"]]), found["h"] / found["w"], mirror=True)
                size = np.ptp(pose[0, :, 1])
                yield name, pose.repeat(30, 0) + rng.normal(0, 0.004 * size, (30, 21, 3)) * [1, 1, 0]


def picture(pose, height, mirror):
    """From MediaPipe's 0..1 on both axes to frame widths."""
    p = np.array(pose, float)
    p[..., 1] *= height
    if mirror:
        p[..., 0] = 1 - p[..., 0]
    return p


def metric(pose, focal=0.9):
    """Project metres with y up through a pinhole camera; the hand's mean place becomes the picture's middle."""
    p = np.array(pose, float)
    z = np.maximum(p[..., 2:], 0.15)
    p[..., :2] -= p[..., :2].mean((0, 1))
    xy = focal * p[..., :2] / z * [1, -1] + [0.5, 0.375]
    depth = focal * (p[..., 2:] - p[:, :1, 2:]) / z[:, :1]
    return np.concatenate([xy, depth], -1)


def at_15_hz(pose, rate_hz):
    at = np.arange(0, (len(pose) - 1) / rate_hz, 1 / RATE_HZ) * rate_hz
    low = np.floor(at).astype(int)
    w = (at - low)[:, None, None]
    return pose[low] * (1 - w) + pose[np.minimum(low + 1, len(pose) - 1)] * w


def runs(pose, valid, longest_gap=4):
    """Stretches of one hand: short gaps are bridged, long ones part."""
    found = np.flatnonzero(valid)
    if len(found) == 0:
        return []
    out = []
    for part in np.split(found, np.flatnonzero(np.diff(found) > longest_gap + 1) + 1):
        at = np.arange(part[0], part[-1] + 1)
        low = part[np.searchsorted(part, at, side="right") - 1]
        high = part[np.searchsorted(part, at)]
        w = ((at - low) / np.maximum(high - low, 1))[:, None, None]
        out.append(pose[low] * (1 - w) + pose[high] * w)
    return out
