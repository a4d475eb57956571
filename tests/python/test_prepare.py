"""The preparation of the models: what is refused and how, and that conversion does not drift."""

import contextlib
import io
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[2] / "models"))
sys.dont_write_bytecode = True

import prepare  # noqa: E402

HERE, CACHE = prepare.HERE, prepare.CACHE


class Prepare(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.patch(HERE=self.folder, CACHE=self.folder)

    def patch(self, **values):
        patch = mock.patch.multiple(prepare, **values)
        patch.start()
        self.addCleanup(patch.stop)

    def refusal(self, call, *arguments):
        with self.assertRaises(SystemExit) as stopped, contextlib.redirect_stdout(io.StringIO()):
            call(*arguments)
        return str(stopped.exception)

    def main(self, *arguments):
        with mock.patch.object(sys, "argv", ["prepare.py", *arguments]):
            prepare.main()

    def test_a_torn_package_is_refused_by_name_and_hash(self):
        (self.folder / prepare.WHEEL).write_bytes(b"PK torn")
        said = self.refusal(prepare.wheel)
        self.assertIn(str(self.folder / prepare.WHEEL), said)
        self.assertIn(prepare.WHEEL_SHA256, said)
        self.assertIn("delete the file", said)

    def test_a_failed_download_gives_its_reason(self):
        failed = subprocess.CompletedProcess([], 1, stderr="WARNING: retrying\nERROR: no route\n")
        with mock.patch.object(subprocess, "run", return_value=failed):
            said = self.refusal(prepare.wheel)
        self.assertIn(f"fetching {prepare.PACKAGE} failed: ERROR: no route", said)

    def test_another_network_in_the_package_is_refused(self):
        package = mock.Mock(read=lambda name: b"TFL3")
        said = self.refusal(prepare.source, package, "palm_detection_lite")
        self.assertIn("palm_detection_lite.tflite: expected SHA-256", said)

    def test_files_are_written_whole(self):
        path = self.folder / "model.onnx"
        prepare.write(path, b"whole")
        self.assertEqual(path.read_bytes(), b"whole")
        self.assertEqual([p.name for p in self.folder.iterdir()], ["model.onnx"])

    def test_only_what_is_missing_or_truncated_is_converted(self):
        models = {
            name: model._replace(onnx_sha256=prepare.sha256(name.encode()))
            for name, model in prepare.MODELS.items()
        }
        made = []
        self.patch(
            MODELS=models,
            enter_venv=mock.Mock(),
            wheel=mock.Mock(),
            zipfile=mock.MagicMock(),
            source=mock.Mock(),
            converted=lambda name, _: made.append(name) or name.encode(),
        )
        for name in models:
            (self.folder / f"{name}.onnx").write_bytes(name.encode())
        (self.folder / "palm_detection_full.onnx").write_bytes(b"palm")
        (self.folder / "hand_landmark_lite.onnx").unlink()
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self.main()
            self.assertEqual(made, ["palm_detection_full", "hand_landmark_lite"])
            prepare.enter_venv.reset_mock()
            self.main()
        self.assertEqual(len(made), 2)
        prepare.enter_venv.assert_not_called()
        self.assertIn("all four hand networks are prepared", said.getvalue())

    @unittest.skipUnless((CACHE / prepare.WHEEL).exists(), "the models were not prepared here")
    def test_conversion_gives_the_same_files_that_agree_with_their_sources(self):
        verify = [sys.executable, HERE / "prepare.py", "--verify"]
        done = subprocess.run(verify, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main()
