"""Runs a TFLite model on XNNPACK, on one thread: `xnnpack.py MODEL.tflite RUNS INPUT OUTPUT`.

Runs inside the emulator. INPUT holds the input's float32 values, OUTPUT takes those of all outputs.
"""

import sys

import numpy
from ai_edge_litert.interpreter import Interpreter

model, runs, source, target = sys.argv[1:]
interpreter = Interpreter(model_path=model, num_threads=1)
interpreter.allocate_tensors()
(wanted,) = interpreter.get_input_details()
values = numpy.fromfile(source, numpy.float32).reshape(wanted["shape"])
interpreter.set_tensor(wanted["index"], values)
for _ in range(int(runs)):
    interpreter.invoke()
outputs = [interpreter.get_tensor(output["index"]).ravel() for output in interpreter.get_output_details()]
numpy.concatenate(outputs).tofile(target)
