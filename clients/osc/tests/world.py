"""What a test has: an OBS with images, a cloud uploader, and a home."""

import tempfile
import unittest
from pathlib import Path

from tests import fake_obs
from tests.fake_obs import Obs
from tests.fake_service import ARN, TOKEN, Service
from tests.osc import Home

PROJECT, PACKAGE, FILE = "Cloud:Images", "leap-ec2", "leap-ec2.x86_64-15.6.raw.xz"


class World(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.root = folder / "obs"
        self.obs = self.enterContext(Obs(self.root))
        self.service = self.enterContext(Service())
        (folder / "home").mkdir()
        self.home = Home(folder / "home", self.obs.url, fake_obs.USER, fake_obs.PASSWORD)
        self.osc = self.home.osc

    def enterContext(self, manager):  # unittest has it since Python 3.11
        value = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return value

    def sign_in(self, role=True):
        self.home.env |= {"OSC_CLOUDUPLOAD_URL": self.service.url, "OSC_CLOUDUPLOAD_TOKEN": TOKEN}
        if role:
            self.service.connect({}, {"arn": ARN, "region": "eu-central-1"})

    def build(self, repository="images", arch="x86_64", package=PACKAGE, file=FILE):
        path = self.root / PROJECT / repository / arch / package / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"image")

    def checkout(self):
        """A working copy of the package, with what osc writes into it."""
        folder = self.home.folder / PACKAGE
        store = folder / ".osc"
        store.mkdir(parents=True)
        for name, text in {
            "_apiurl": self.obs.url,
            "_project": PROJECT,
            "_package": PACKAGE,
            "_osclib_version": "1.0",
            "_files": f'<directory name="{PACKAGE}" rev="1" srcmd5="{"0" * 32}"/>',
        }.items():
            (store / name).write_text(f"{text}\n")
        return folder

    def succeeds(self, *words, **options):
        """What a command prints. It has to succeed."""
        done = self.osc(*words, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def fails(self, *words, code=1, **options):
        """What a command that fails tells. It prints no result."""
        done = self.osc(*words, **options)
        self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
        return done.stderr
