"""The classifier: normalisation of a window, a small convolutional network over time, and its ONNX file.

Everything before the first convolution is arithmetic with constants, so that a caller hands over raw poses:
per pose one product with a constant matrix gives the wrist-relative points, the vectors whose lengths matter
and the points that travel; the window's mean palm size divides them all. Every division has a floor: 21 points
in one place give zeros, not NaN.
"""

import json

import numpy as np
import torch
from torch import nn

POSES, JOINTS = 30, 21
WIDTH, WIDE = 96, 288
# Depth is the estimator's guess: it counts for less than the picture.
DEPTH = 0.3
FLOOR = 1e-3

WRIST, THUMB_TIP, INDEX_TIP, MIDDLE_KNUCKLE = 0, 4, 8, 9
TIPS = [4, 8, 12, 16, 20]
PALM = [0, 5, 9, 13, 17]
# Vectors in the picture whose root mean square is the palm's size, whichever way the hand is turned.
SPANS = [(0, 5), (0, 9), (0, 17), (5, 17)]
SPAN_WEIGHT = [1.0, 1.0, 1.0, 1.5]
LENGTHS = [(0, t) for t in TIPS] + [(4, t) for t in TIPS[1:]] + [(8, 12), (12, 16), (16, 20)]
TRAVELLING = [WRIST, MIDDLE_KNUCKLE, *TIPS]


def columns():
    """Constant matrices (63, k) that pick what is needed from a flat pose."""

    def difference(a, b, axis, weight=1.0):
        c = np.zeros((JOINTS, 3), np.float32)
        c[b, axis] += weight
        c[a, axis] -= weight
        return c.ravel()

    def point(joints, axis):
        c = np.zeros((JOINTS, 3), np.float32)
        c[joints, axis] = 1 / len(joints)
        return c.ravel()

    relative = [difference(WRIST, j, a, DEPTH if a == 2 else 1.0) for a in range(3) for j in range(1, JOINTS)]
    spans = [difference(a, b, axis, w) for (a, b), w in zip(SPANS, SPAN_WEIGHT) for axis in range(2)]
    lengths = [difference(a, b, axis, DEPTH if axis == 2 else 1.0) for a, b in LENGTHS for axis in range(3)]
    travel = [point([j], a) for j in TRAVELLING for a in range(2)]
    place = [point(joints, a) for joints in (PALM, [INDEX_TIP]) for a in range(2)]
    return [np.stack(c, 1) for c in (relative, spans, lengths, travel, place)]


RELATIVE, SPAN, LENGTH, TRAVEL, PLACE = columns()
SPAN_SUM = np.full((SPAN.shape[1], 1), 1 / len(SPANS), np.float32)
LENGTH_SUM = np.kron(np.eye(len(LENGTHS), dtype=np.float32), np.ones((3, 1), np.float32))
LAST = np.full(POSES, POSES - 1)
ONE_BACK = np.maximum(np.arange(POSES) - 1, 0)
THREE_BACK = np.maximum(np.arange(POSES) - 3, 0)
# Keeps every channel near unit size.
TRAVEL_GAIN, PLACE_GAIN, GROWTH_GAIN, LIMIT = 2.0, 0.5, 3.0, 6.0
CHANNELS = RELATIVE.shape[1] + len(LENGTHS) + 2 * TRAVEL.shape[1] + PLACE.shape[1] + 2


def normalise(poses):
    """Channels (n, CHANNELS, 30) of raw poses (n, 30, 21, 3): the same arithmetic as the ONNX graph's front."""
    flat = poses.reshape(-1, POSES, JOINTS * 3)
    constant = lambda a: torch.as_tensor(a, dtype=flat.dtype)
    size = torch.sqrt((flat @ constant(SPAN)).square() @ constant(SPAN_SUM)) + FLOOR
    scale = 1 / size.mean(1, keepdim=True)
    relative = flat @ constant(RELATIVE) * scale
    length = torch.sqrt((flat @ constant(LENGTH)).square() @ constant(LENGTH_SUM)) * scale
    travel = flat @ constant(TRAVEL) * scale
    place = flat @ constant(PLACE) * scale
    growth = torch.log(size)
    channels = [
        relative,
        length,
        (travel - travel[:, ONE_BACK]) * TRAVEL_GAIN,
        travel - travel[:, THREE_BACK],
        (place - place[:, LAST]) * PLACE_GAIN,
        (growth - growth[:, LAST]) * GROWTH_GAIN,
        (growth - growth[:, THREE_BACK]) * GROWTH_GAIN,
    ]
    return torch.cat(channels, 2).clamp(-LIMIT, LIMIT).transpose(1, 2)


class Network(nn.Module):
    def __init__(self, labels, kinds):
        super().__init__()
        self.convolutions = nn.ModuleList(
            [
                nn.Conv1d(CHANNELS, WIDTH, 3, padding=1),
                nn.Conv1d(WIDTH, WIDTH, 3, padding=1, stride=2),
                nn.Conv1d(WIDTH, WIDTH, 3, padding=1),
                nn.Conv1d(WIDTH, WIDTH, 3, padding=2, dilation=2),
            ]
        )
        self.norms = nn.ModuleList([nn.BatchNorm1d(WIDTH) for _ in self.convolutions])
        self.drop = nn.Dropout(0.25)
        self.narrow = nn.Linear(WIDE, 64)
        self.head = nn.Linear(64, labels)
        # Teaches the features in training, is not exported.
        self.kinds = nn.Linear(64, kinds)

    def features(self, poses):
        x = normalise(poses)
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms)):
            y = torch.relu(norm(convolution(x)))
            x = x + y if i >= 2 else y
        return torch.cat([x.mean(2), x.amax(2), x[:, :, -1]], 1)

    def forward(self, poses):
        x = torch.relu(self.narrow(self.drop(self.features(poses))))
        return self.head(x), self.kinds(x)


def export(network, path, labels, metadata):
    """Write the ONNX file: plain operators, constant shapes, batch norms folded into the convolutions."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants = [], []

    def constant(name, value, dtype=np.float32):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype), name))
        return name

    def op(kind, inputs, output, **attributes):
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def gemm(a, matrix, output):
        return op("Gemm", [a, constant(output + ".matrix", matrix)], output)

    def against(a, index, output):
        """`a` minus itself at other times."""
        other = op("Gather", [a, constant(output + ".at", index, np.int64)], output + ".other", axis=0)
        return op("Sub", [a, other], output)

    def times(a, factor, output):
        return op("Mul", [a, constant(output + ".factor", np.float32(factor))], output)

    flat = op("Reshape", ["poses", constant("flat.shape", [POSES, JOINTS * 3], np.int64)], "flat")
    span = gemm(flat, SPAN, "span")
    span = gemm(op("Mul", [span, span], "span.square"), SPAN_SUM, "span.sum")
    size = op("Add", [op("Sqrt", [span], "size.raw"), constant("floor", np.float32(FLOOR))], "size")
    mean = op("ReduceMean", [size], "size.mean", axes=[0], keepdims=1)

    def scaled(a, output):
        return op("Div", [a, mean], output)

    relative = scaled(gemm(flat, RELATIVE, "relative.raw"), "relative")
    length = gemm(flat, LENGTH, "length.vector")
    length = gemm(op("Mul", [length, length], "length.square"), LENGTH_SUM, "length.sum")
    length = scaled(op("Sqrt", [length], "length.raw"), "length")
    travel = scaled(gemm(flat, TRAVEL, "travel.raw"), "travel")
    place = scaled(gemm(flat, PLACE, "place.raw"), "place")
    growth = op("Log", [size], "growth")
    parts = [
        relative,
        length,
        times(against(travel, ONE_BACK, "step"), TRAVEL_GAIN, "step.gained"),
        against(travel, THREE_BACK, "stride"),
        times(against(place, LAST, "way"), PLACE_GAIN, "way.gained"),
        times(against(growth, LAST, "grown"), GROWTH_GAIN, "grown.gained"),
        times(against(growth, THREE_BACK, "growing"), GROWTH_GAIN, "growing.gained"),
    ]
    x = op("Concat", parts, "channels.wide", axis=1)
    x = op("Clip", [x, constant("lowest", np.float32(-LIMIT)), constant("highest", np.float32(LIMIT))], "channels.clipped")
    x = op("Transpose", [x], "channels.first", perm=[1, 0])
    x = op("Reshape", [x, constant("channels.shape", [1, CHANNELS, POSES], np.int64)], "channels")
    for i, (convolution, norm) in enumerate(zip(network.convolutions, network.norms)):
        gain = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
        weight = (convolution.weight * gain[:, None, None]).detach().numpy()
        bias = ((convolution.bias - norm.running_mean) * gain + norm.bias).detach().numpy()
        inputs = [x, constant(f"conv{i}.weight", weight), constant(f"conv{i}.bias", bias)]
        padding = convolution.padding[0]
        y = op(
            "Conv", inputs, f"conv{i}", kernel_shape=[3], pads=[padding, padding],
            strides=[convolution.stride[0]], dilations=[convolution.dilation[0]],
        )  # fmt: skip
        y = op("Relu", [y], f"conv{i}.relu")
        x = op("Add", [x, y], f"conv{i}.sum") if i >= 2 else y
    mean_pool = op("ReduceMean", [x], "pool.mean", axes=[2], keepdims=0)
    max_pool = op("ReduceMax", [x], "pool.max", axes=[2], keepdims=0)
    newest = op("Slice", [x, *(constant(f"pool.{k}", [v], np.int64) for k, v in (("from", 14), ("to", 15), ("axis", 2)))], "pool.newest")
    newest = op("Reshape", [newest, constant("pool.shape", [1, WIDTH], np.int64)], "pool.last")
    op("Concat", [mean_pool, max_pool, newest], "features", axis=1)
    linear = lambda layer, a, name: op(
        "Gemm", [a, constant(name + ".weight", layer.weight.detach().numpy().T), constant(name + ".bias", layer.bias.detach().numpy())], name
    )
    x = op("Relu", [linear(network.narrow, "features", "narrow")], "narrow.relu")
    op("Softmax", [linear(network.head, x, "head")], "probabilities", axis=1)

    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        nodes,
        "gestures",
        [value("poses", [1, POSES, JOINTS, 3])],
        [value("probabilities", [1, len(labels)]), value("features", [1, WIDE])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="palmd")
    model.ir_version = 8
    helper.set_model_props(model, {"labels": json.dumps(labels), "window": str(POSES), "rate_hz": "15", **metadata})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
