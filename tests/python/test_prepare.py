"""The preparation of the models: what is refused, and how."""

import contextlib
import io
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[2] / "models"))
sys.dont_write_bytecode = True

import prepare  # noqa: E402


class Prepare(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for name in ("HERE", "CACHE"):
            patch = mock.patch.object(prepare, name, self.folder)
            patch.start()
            self.addCleanup(patch.stop)

    def refusal(self, call, *arguments):
        with self.assertRaises(SystemExit) as stopped, contextlib.redirect_stdout(io.StringIO()):
            call(*arguments)
        return str(stopped.exception)

    def test_a_torn_package_is_refused_by_name_and_hash(self):
        (self.folder / prepare.WHEEL).write_bytes(b"PK torn")
        said = self.refusal(prepare.wheel)
        self.assertIn(str(self.folder / prepare.WHEEL), said)
        self.assertIn(prepare.WHEEL_SHA256, said)
        self.assertIn("delete the file", said)

    def test_another_network_in_the_package_is_refused(self):
        package = mock.Mock(read=lambda name: b"TFL3")
        said = self.refusal(prepare.source, package, "palm_detection_lite")
        self.assertIn("palm_detection_lite.tflite: expected SHA-256", said)

    def test_a_truncated_onnx_file_is_made_again(self):
        self.assertFalse(prepare.prepared("hand_landmark_lite"))
        prepare.onnx_file("hand_landmark_lite").write_bytes(b"half")
        self.assertFalse(prepare.prepared("hand_landmark_lite"))

    def test_files_are_written_whole(self):
        path = self.folder / "model.onnx"
        prepare.write(path, b"whole")
        self.assertEqual(path.read_bytes(), b"whole")
        self.assertEqual([p.name for p in self.folder.iterdir()], ["model.onnx"])

    def test_every_model_has_its_hashes(self):
        for name, (_, outputs, source, result) in prepare.MODELS.items():
            self.assertEqual((len(source), len(result)), (64, 64), name)
            self.assertIn(len(outputs), (2, 4))

    def test_padding_is_tensorflows_same(self):
        class Nothing:
            def __getattr__(self, name):
                return mock.MagicMock()

        with mock.patch.dict(sys.modules, {m: Nothing() for m in ("numpy", "onnx", "tflite")}):
            import convert
        self.assertEqual(convert.same_padding(224, 3, 2), (0, 1))
        self.assertEqual(convert.same_padding(192, 5, 2), (1, 2))
        self.assertEqual(convert.same_padding(56, 5, 1), (2, 2))


if __name__ == "__main__":
    unittest.main()
