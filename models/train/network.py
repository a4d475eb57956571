"""The classifier: normalisation of a window, a small convolutional network over time, and its ONNX file.

A caller hands over raw poses. Two products with constant matrices give each pose's palm size and the lengths that
matter; points count from the palm's last place, and the window's mean palm size divides everything. What follows is
linear in these numbers (wrist-relative points, steps from pose to pose), so the exported file has it folded into the
first convolution. Every division has a floor: 21 points in one place give zeros, not NaN.
"""

import json

import numpy as np
import torch
from torch import nn

POSES, JOINTS = 30, 21
WIDTH, WIDE = 80, 240
TAPS, STRIDE = 5, 2
# Depth is the estimator's guess: it counts for less than the picture.
DEPTH = 0.3
FLOOR = 1e-3

WRIST, MIDDLE_KNUCKLE, INDEX_TIP = 0, 9, 8
TIPS = [4, 8, 12, 16, 20]
PALM = [0, 5, 9, 13, 17]
# Vectors in the picture whose root mean square is the palm's size, whichever way the hand is turned.
SPANS = [(0, 5), (0, 9), (0, 17), (5, 17)]
SPAN_WEIGHT = [1.0, 1.0, 1.0, 1.5]
LENGTHS = [(0, t) for t in TIPS] + [(4, t) for t in TIPS[1:]] + [(8, 12), (12, 16), (16, 20)]
TRAVELLING = [WRIST, MIDDLE_KNUCKLE, *TIPS]
# A pose's numbers, before they are combined: the points, the palm's size, the lengths.
NUMBERS = JOINTS * 3 + 1 + len(LENGTHS)
SIZE = JOINTS * 3
# Keeps every channel near unit size.
STEP_GAIN, PLACE_GAIN, GROWTH_GAIN, LIMIT = 2.0, 0.5, 3.0, 12.0


def difference(a, b, axis, weight=1.0):
    c = np.zeros((JOINTS, 3), np.float32)
    c[b, axis] += weight
    c[a, axis] -= weight
    return c.ravel()


def mean(joints, axis):
    c = np.zeros((JOINTS, 3), np.float32)
    c[joints, axis] = 1 / len(joints)
    return c.ravel()


def vectors():
    """(63, k) that takes the vectors out of a flat pose, and (k, 1 + lengths) that adds up their squares."""
    columns = [difference(a, b, axis, w) for (a, b), w in zip(SPANS, SPAN_WEIGHT) for axis in range(2)]
    of = [0] * len(columns)
    weight = [1 / len(SPANS)] * len(columns)
    for i, (a, b) in enumerate(LENGTHS):
        for axis in range(3):
            columns.append(difference(a, b, axis, DEPTH if axis == 2 else 1.0))
            of.append(1 + i)
            weight.append(1.0)
    total = np.zeros((len(columns), 1 + len(LENGTHS)), np.float32)
    total[np.arange(len(columns)), of] = weight
    return np.stack(columns, 1), total


def channels():
    """What each channel of the network is of a pose's numbers: (c, NUMBERS), and of the pose before; and its offset."""
    now, before, offset = [], [], []

    def add(row, last=None, plus=0.0):
        pad = lambda r: np.concatenate([r, np.zeros(NUMBERS - len(r), np.float32)])
        now.append(pad(row))
        before.append(pad(np.zeros(0, np.float32) if last is None else last))
        offset.append(plus)

    for axis in range(3):
        for j in range(1, JOINTS):
            add(difference(WRIST, j, axis, DEPTH if axis == 2 else 1.0))
    for i in range(len(LENGTHS)):
        add(np.eye(NUMBERS, dtype=np.float32)[SIZE + 1 + i])
    add(GROWTH_GAIN * np.eye(NUMBERS, dtype=np.float32)[SIZE], plus=-GROWTH_GAIN)
    for j in TRAVELLING:
        for axis in range(2):
            add(STEP_GAIN * mean([j], axis), -STEP_GAIN * mean([j], axis))
    for joints in (PALM, [INDEX_TIP]):
        for axis in range(2):
            add(PLACE_GAIN * mean(joints, axis))
    return np.stack(now), np.stack(before), np.array(offset, np.float32)


VECTOR, VECTOR_SUM = vectors()
# The palm's place in every column of its axis; depth has its own origin, the wrist.
PLACE = np.stack([mean(PALM, axis) * (axis < 2) for _ in range(JOINTS) for axis in range(3)], 1)
NOW, BEFORE, OFFSET = channels()
CHANNELS = len(NOW)


def numbers(poses):
    """A window's numbers (n, 30, NUMBERS) of raw poses (n, 30, 21, 3): the same arithmetic as the ONNX graph's front."""
    flat = poses.reshape(-1, POSES, JOINTS * 3)
    constant = lambda a: torch.as_tensor(a, dtype=flat.dtype)
    lengths = torch.sqrt((flat @ constant(VECTOR)).square() @ constant(VECTOR_SUM))
    size = lengths[..., :1].mean(1, keepdim=True) + FLOOR
    place = flat[:, -1:] @ constant(PLACE)
    return (torch.cat([flat - place, lengths], 2) / size).clamp(-LIMIT, LIMIT)


def normalise(poses):
    """Channels (n, CHANNELS, 29): a step belongs to two poses."""
    x = numbers(poses)
    constant = lambda a: torch.as_tensor(a, dtype=x.dtype)
    return (x[:, 1:] @ constant(NOW.T) + x[:, :-1] @ constant(BEFORE.T) + constant(OFFSET)).transpose(1, 2)


class Network(nn.Module):
    def __init__(self, labels, kinds):
        super().__init__()
        self.convolutions = nn.ModuleList(
            [
                nn.Conv1d(CHANNELS, WIDTH, TAPS, stride=STRIDE),
                nn.Conv1d(WIDTH, WIDTH, 3, padding=1),
                nn.Conv1d(WIDTH, WIDTH, 3, padding=1),
                nn.Conv1d(WIDTH, WIDTH, 3, padding=2, dilation=2),
            ]
        )
        self.norms = nn.ModuleList([nn.BatchNorm1d(WIDTH) for _ in self.convolutions])
        self.drop = nn.Dropout(0.2)
        self.narrow = nn.Linear(WIDE, 64)
        self.head = nn.Linear(64, labels)
        # Teaches the features in training, is not exported.
        self.kinds = nn.Linear(64, kinds)

    def features(self, poses):
        x = normalise(poses)
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms)):
            y = torch.relu(norm(convolution(x)))
            x = x + y if i else y
        return torch.cat([x.mean(2), x.amax(2), x[:, :, -1]], 1)

    def forward(self, poses):
        x = torch.relu(self.narrow(self.drop(self.features(poses))))
        return self.head(x), self.kinds(x)

    def folded(self, i):
        """Weight and bias of convolution `i` with its batch norm; the first one takes a pose's numbers themselves."""
        convolution, norm = self.convolutions[i], self.norms[i]
        gain = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach().double()
        weight = convolution.weight.detach().double() * gain[:, None, None]
        bias = (convolution.bias - norm.running_mean).detach().double() * gain + norm.bias.detach().double()
        if i == 0:
            bias = bias + torch.einsum("oct,c->o", weight, torch.from_numpy(OFFSET).double())
            wide = torch.zeros(WIDTH, NUMBERS, TAPS + 1, dtype=torch.double)
            wide[:, :, 1:] += torch.einsum("oct,ck->okt", weight, torch.from_numpy(NOW).double())
            wide[:, :, :-1] += torch.einsum("oct,ck->okt", weight, torch.from_numpy(BEFORE).double())
            weight = wide
        return weight.numpy(), bias.numpy()


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

    def cut(a, start, end, axis, output):
        bounds = [constant(f"{output}.{k}", [v], np.int64) for k, v in (("from", start), ("to", end), ("axis", axis))]
        return op("Slice", [a, *bounds], output)

    flat = op("Reshape", ["poses", constant("flat.shape", [POSES, JOINTS * 3], np.int64)], "flat")
    vector = gemm(flat, VECTOR, "vector")
    square = op("Mul", [vector, vector], "vector.square")
    length = op("Sqrt", [gemm(square, VECTOR_SUM, "length.square")], "length")
    size = cut(op("ReduceMean", [length], "length.mean", axes=[0], keepdims=1), 0, 1, 1, "size.raw")
    size = op("Add", [size, constant("floor", np.float32(FLOOR))], "size")
    newest = gemm(cut(flat, POSES - 1, POSES, 0, "newest"), PLACE, "place")
    x = op("Concat", [op("Sub", [flat, newest], "points"), length], "numbers.raw", axis=1)
    x = op("Div", [x, size], "numbers.wide")
    x = op("Clip", [x, constant("lowest", np.float32(-LIMIT)), constant("highest", np.float32(LIMIT))], "numbers")
    x = op("Transpose", [x], "numbers.first", perm=[1, 0])
    x = op("Reshape", [x, constant("channels.shape", [1, NUMBERS, POSES], np.int64)], "channels")
    for i, convolution in enumerate(network.convolutions):
        weight, bias = network.folded(i)
        inputs = [x, constant(f"conv{i}.weight", weight), constant(f"conv{i}.bias", bias)]
        padding = convolution.padding[0]
        y = op(
            "Conv", inputs, f"conv{i}", kernel_shape=[weight.shape[2]], pads=[padding, padding],
            strides=[convolution.stride[0]], dilations=[convolution.dilation[0]],
        )  # fmt: skip
        y = op("Relu", [y], f"conv{i}.relu")
        x = op("Add", [x, y], f"conv{i}.sum") if i else y
    steps = (POSES - TAPS - 1) // STRIDE + 1
    mean_pool = op("ReduceMean", [x], "pool.mean", axes=[2], keepdims=0)
    max_pool = op("ReduceMax", [x], "pool.max", axes=[2], keepdims=0)
    newest = cut(x, steps - 1, steps, 2, "pool.newest")
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
