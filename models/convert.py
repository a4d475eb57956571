"""Converts MediaPipe's hand networks from TFLite to ONNX.

Only what these networks use is supported; anything else is an error. Layouts change from NHWC to
NCHW. Weights that are float16 in the source stay float16 in the file, behind a Cast: the numbers
are the same and the file is half as large.
"""

from __future__ import annotations

import numpy as np
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper

OPSET = 13
RELU, RELU6 = tflite.ActivationFunctionType.RELU, tflite.ActivationFunctionType.RELU6
SAME = tflite.Padding.SAME
OPERATORS = {
    code: name
    for name, code in vars(tflite.BuiltinOperator).items()
    if isinstance(code, int)
}


class Unsupported(Exception):
    """The source holds something that this converter does not know."""


def same_padding(size: int, filter: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, as TensorFlow's SAME has it."""
    total = max((-(-size // stride) - 1) * stride + filter - size, 0)
    return total // 2, total - total // 2


class Converter:
    """One network on its way. Values are named after their TFLite tensors."""

    def __init__(self, source: bytes, outputs: list[str]):
        self.model = tflite.Model.GetRootAsModel(source, 0)
        self.graph = self.model.Subgraphs(0)
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.constants: dict[int, np.ndarray] = {}
        self.names = {self.graph.Inputs(0): "input"}
        if self.graph.OutputsLength() != len(outputs):
            raise Unsupported(f"{self.graph.OutputsLength()} outputs instead of {len(outputs)}")
        for i, name in enumerate(outputs):
            self.names[self.graph.Outputs(i)] = name

    def shape(self, tensor: int) -> tuple[int, ...]:
        return tuple(int(n) for n in self.graph.Tensors(tensor).ShapeAsNumpy())

    def name(self, tensor: int) -> str:
        return self.names.setdefault(tensor, f"t{tensor}")

    def constant(self, tensor: int) -> np.ndarray:
        """The value of a constant tensor."""
        if tensor in self.constants:
            return self.constants[tensor]
        t = self.graph.Tensors(tensor)
        data = self.model.Buffers(t.Buffer()).DataAsNumpy()
        kinds = {
            tflite.TensorType.FLOAT16: np.float16,
            tflite.TensorType.FLOAT32: np.float32,
            tflite.TensorType.INT32: np.int32,
        }
        if isinstance(data, int) or t.Type() not in kinds:
            raise Unsupported(f"tensor {t.Name()!r} is no constant of a known type")
        return data.view(kinds[t.Type()]).reshape(self.shape(tensor))

    def weights(self, name: str, value: np.ndarray) -> str:
        """Stores weights and returns the name of their float32 value."""
        value = np.ascontiguousarray(value)
        if value.dtype == np.float16:
            self.initializers.append(numpy_helper.from_array(value, f"{name}.f16"))
            self.nodes.append(helper.make_node("Cast", [f"{name}.f16"], [name], to=TensorProto.FLOAT))
        else:
            self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def node(self, op: str, inputs: list[str], output: str, **attributes) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def activated(self, op: str, inputs: list[str], output: str, activation: int, **attributes):
        """A node and the activation that TFLite fuses into it."""
        if activation == tflite.ActivationFunctionType.NONE:
            return self.node(op, inputs, output, **attributes)
        raw = self.node(op, inputs, f"{output}.raw", **attributes)
        if activation == RELU:
            return self.node("Relu", [raw], output)
        if activation == RELU6:
            limits = [self.scalar("zero", 0.0), self.scalar("six", 6.0)]
            return self.node("Clip", [raw, *limits], output)
        raise Unsupported(f"activation {activation}")

    def scalar(self, name: str, value: float) -> str:
        if all(i.name != name for i in self.initializers):
            self.initializers.append(numpy_helper.from_array(np.float32(value), name))
        return name

    def conv(self, operator, options, depthwise: bool):
        x, w, b = (operator.Inputs(i) for i in range(3))
        y = operator.Outputs(0)
        weights = self.constant(w)  # OHWI, or 1HWC where depthwise
        weights = weights.transpose(3, 0, 1, 2) if depthwise else weights.transpose(0, 3, 1, 2)
        if options.DilationHFactor() != 1 or options.DilationWFactor() != 1:
            raise Unsupported("dilation")
        stride = (options.StrideH(), options.StrideW())
        filter = weights.shape[2:]
        pads = [0, 0, 0, 0]
        if options.Padding() == SAME:
            sides = [same_padding(n, k, s) for n, k, s in zip(self.shape(x)[1:3], filter, stride)]
            pads = [sides[0][0], sides[1][0], sides[0][1], sides[1][1]]
        out = self.name(y)
        self.activated(
            "Conv",
            [self.name(x), self.weights(f"{out}.w", weights), self.weights(f"{out}.b", self.constant(b))],
            out,
            options.FusedActivationFunction(),
            kernel_shape=filter,
            strides=stride,
            pads=pads,
            group=weights.shape[0] if depthwise else 1,
        )

    def operator(self, operator):
        kind = OPERATORS[self.model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()]
        inputs = [operator.Inputs(i) for i in range(operator.InputsLength())]
        y = operator.Outputs(0)
        out = self.name(y)

        def options(cls):
            o = cls()
            table = operator.BuiltinOptions()
            o.Init(table.Bytes, table.Pos)
            return o

        if kind == "DEQUANTIZE":
            self.constants[y] = self.constant(inputs[0])
        elif kind == "CONV_2D":
            self.conv(operator, options(tflite.Conv2DOptions), depthwise=False)
        elif kind == "DEPTHWISE_CONV_2D":
            o = options(tflite.DepthwiseConv2DOptions)
            if o.DepthMultiplier() != 1:
                raise Unsupported("depth multiplier")
            self.conv(operator, o, depthwise=True)
        elif kind == "PRELU":
            slope = self.constant(inputs[1]).reshape(-1, 1, 1)
            self.node("PRelu", [self.name(inputs[0]), self.weights(f"{out}.slope", slope)], out)
        elif kind == "ADD":
            activation = options(tflite.AddOptions).FusedActivationFunction()
            self.activated("Add", [self.name(i) for i in inputs], out, activation)
        elif kind == "MAX_POOL_2D":
            o = options(tflite.Pool2DOptions)
            filter, stride = (o.FilterHeight(), o.FilterWidth()), (o.StrideH(), o.StrideW())
            if any(n % s for n, s in zip(self.shape(inputs[0])[1:3], stride)) or filter != stride:
                raise Unsupported("pooling that needs padding")
            self.node("MaxPool", [self.name(inputs[0])], out, kernel_shape=filter, strides=stride)
        elif kind == "PAD":
            before_after = self.constant(inputs[1])[[0, 3, 1, 2]]
            pads = numpy_helper.from_array(before_after.T.flatten().astype(np.int64), f"{out}.pads")
            self.initializers.append(pads)
            self.node("Pad", [self.name(inputs[0]), pads.name], out)
        elif kind == "RESIZE_BILINEAR":
            o = options(tflite.ResizeBilinearOptions)
            if o.AlignCorners() or not o.HalfPixelCenters():
                raise Unsupported("bilinear resize other than with half-pixel centres")
            (_, h, w, _), (_, h2, w2, _) = self.shape(inputs[0]), self.shape(y)
            scales = np.array([1, 1, h2 / h, w2 / w], np.float32)
            self.initializers.append(numpy_helper.from_array(scales, f"{out}.scales"))
            self.node(
                "Resize",
                [self.name(inputs[0]), "", f"{out}.scales"],
                out,
                mode="linear",
                coordinate_transformation_mode="half_pixel",
            )
        elif kind == "MEAN":
            if sorted(self.constant(inputs[1]).tolist()) != [1, 2]:
                raise Unsupported("mean over other axes than height and width")
            mean = self.node("GlobalAveragePool", [self.name(inputs[0])], f"{out}.mean")
            self.node("Flatten", [mean], out)
        elif kind == "FULLY_CONNECTED":
            x, w, b = inputs
            parameters = [self.weights(f"{out}.w", self.constant(w)), self.weights(f"{out}.b", self.constant(b))]
            activation = options(tflite.FullyConnectedOptions).FusedActivationFunction()
            self.activated("Gemm", [self.name(x), *parameters], out, activation, transB=1)
        elif kind == "LOGISTIC":
            self.node("Sigmoid", [self.name(inputs[0])], out)
        elif kind == "RESHAPE":
            # The heads: back to the source's order of channels, then flat.
            if len(self.shape(inputs[0])) != 4:
                raise Unsupported("reshape of other than a map")
            last = self.node("Transpose", [self.name(inputs[0])], f"{out}.nhwc", perm=[0, 2, 3, 1])
            shape = numpy_helper.from_array(np.array(self.shape(y), np.int64), f"{out}.shape")
            self.initializers.append(shape)
            self.node("Reshape", [last, shape.name], out)
        elif kind == "CONCATENATION":
            o = options(tflite.ConcatenationOptions)
            if len(self.shape(y)) != 3:
                raise Unsupported("concatenation of other than the heads")
            self.node("Concat", [self.name(i) for i in inputs], out, axis=o.Axis())
        else:
            raise Unsupported(f"operator {kind}")

    def convert(self, name: str, metadata: dict[str, str]) -> bytes:
        for i in range(self.graph.OperatorsLength()):
            self.operator(self.graph.Operators(i))
        n, h, w, c = self.shape(self.graph.Inputs(0))
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, (n, c, h, w))],
            [
                helper.make_tensor_value_info(self.name(t), TensorProto.FLOAT, self.shape(t))
                for t in (self.graph.Outputs(i) for i in range(self.graph.OutputsLength()))
            ],
            self.initializers,
        )
        model = helper.make_model(
            graph,
            producer_name="palmd",
            ir_version=8,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString(deterministic=True)


def convert(source: bytes, name: str, outputs: list[str], metadata: dict[str, str]) -> bytes:
    """The ONNX file of a TFLite network, with `outputs` as the names of its outputs."""
    return Converter(source, outputs).convert(name, metadata)
