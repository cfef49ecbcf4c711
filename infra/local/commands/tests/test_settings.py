import subprocess
import tempfile
import unittest
from pathlib import Path

from common import settings
from common.failure import Failure


class SettingsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name, "env")

    def test_shells_and_commands_read_the_same(self):
        values = {"ARN": "arn:aws:iam::1:role/x", "ODD": 'it\'s $HOME = "x"', "EMPTY": ""}
        settings.write(self.file, values)
        self.assertEqual(settings.read(self.file), values)
        script = '. "$1"; printf %s "$ODD${AWS_PROFILE-unset}"'
        env = {"AWS_PROFILE": "other"}
        printed = subprocess.run(
            ["sh", "-c", script, "sh", self.file], env=env, stdout=subprocess.PIPE, check=True
        ).stdout
        self.assertEqual(printed.decode(), values["ODD"] + "unset")
        self.assertEqual(settings.environment(self.file, env), values)

    def test_a_stack_that_is_not_up_is_told(self):
        with self.assertRaisesRegex(Failure, "make up"):
            settings.read(self.file)


if __name__ == "__main__":
    unittest.main()
