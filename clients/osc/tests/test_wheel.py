"""What the wheel has installed, and how osc finds it."""

import contextlib
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import osc.commands

import osc_cloudupload
from osc_cloudupload import commands
from tests.osc import OSC
from tests.world import World

PLUGIN = Path(sys.prefix) / "lib" / "osc-plugins" / "cloudupload.py"
NAMES = [command.name for command in commands.COMMANDS[1:]]

OUTSIDE = """\
import sys
sys.base_prefix = sys.prefix  # osc looks at osc-plugins only if this is no virtual environment
import osc.commandline
if {hide}:
    osc.commandline.OscMainCommand.MODULES = osc.commandline.OscMainCommand.MODULES[1:]
from osc.babysitter import main
main()
"""


class Places(World):
    def outside(self, *words, hide):
        command = [sys.executable, "-c", OUTSIDE.format(hide=hide), *words]
        return subprocess.run(command, env=self.home.env, capture_output=True, text=True, check=False)

    def test_osc_finds_it_beside_its_own_commands(self):
        self.assertTrue(Path(osc.commands.__path__[0], "cloudupload.py").exists())
        done = subprocess.run(
            [OSC, "help", "cloudupload"], env=self.home.env, capture_output=True, text=True, check=True
        )
        for name in NAMES:
            self.assertRegex(done.stdout, rf"\n +{name} ")

    def test_osc_finds_it_in_its_folders_for_plugins(self):
        for folder in (".local/lib/osc-plugins", ".osc-plugins"):
            place = self.home.folder / folder
            place.mkdir(parents=True)
            (place / "cloudupload.py").symlink_to(PLUGIN)
            with self.subTest(folder):
                done = self.outside("cloudupload", "--help", hide=True)
                self.assertIn("Wait for a job's AMI", done.stdout)
                self.assertEqual(done.stderr, "")
            (place / "cloudupload.py").unlink()

    def test_two_places_are_no_conflict(self):
        (self.home.folder / ".osc-plugins").mkdir()
        (self.home.folder / ".osc-plugins" / "cloudupload.py").symlink_to(PLUGIN)
        done = self.outside("cloudupload", "--help", hide=False)
        self.assertIn("Wait for a job's AMI", done.stdout)
        self.assertEqual(done.stderr, "")


class Documents(unittest.TestCase):
    def text(self, name):
        return Path(sys.prefix, "share", name).read_text()

    def test_the_man_page_has_every_command_and_option(self):
        page = self.text("man/man1/osc-cloudupload.1").replace("\\-", "-")
        for name in NAMES:
            self.assertIn(f"osc-cloudupload {name}", page)
        for wish in commands.WISHES:
            self.assertIn(f"--{wish.replace('_', '-')}", page)

    def complete(self, *words):
        """What bash offers for the last word."""
        script = """
            source "$0"
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
            _osc_cloudupload osc "${@: -1}" "${@: -2:1}"
            echo "${COMPREPLY[*]}"
        """
        file = Path(sys.prefix, "share", "osc-cloudupload", "completion.bash")
        command = ["bash", "--norc", "-c", script, file, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    def test_bash_completes_commands_options_and_values(self):
        self.assertEqual(self.complete("osc", "cloudupload", ""), NAMES)
        self.assertEqual(self.complete("osc", "-A", "obs", "cloudupload", "l"), ["list", "log"])
        self.assertEqual(self.complete("osc", "cloudupload", "log", "--f"), ["--follow"])
        self.assertEqual(self.complete("osc", "cloudupload", "create", "--route", ""), ["direct", "import", "copy"])
        self.assertEqual(self.complete("osc", "cloudupload", "watch", "--json", "x"), [])

    def test_fish_completes_commands_and_options(self):
        lines = self.text("fish/vendor_conf.d/osc-cloudupload.fish").splitlines()
        for name in NAMES:
            self.assertTrue(any(f" -a {name} -d " in line for line in lines), name)
        self.assertTrue(any("-s f -l follow -d" in line for line in lines))
        self.assertTrue(any("-l route -x -a 'direct import copy'" in line for line in lines))


ZSH = """\
PROMPT="ready> " fpath=($SITE_FUNCTIONS $fpath)
autoload -Uz compinit && compinit -u -D
compadd() {  # writes down what is offered, but for calls that only look something up
    if [[ " ${@[1,(i)(-|--)]}" == *" -"[a-zA-Z]#[OAD]\\ * ]]; then
        builtin compadd "$@"
        return
    fi
    local -a offered
    builtin compadd -A offered "$@"
    print -rl -- $offered >>$OFFERED
    builtin compadd "$@"
}
"""


@unittest.skipUnless(shutil.which("zsh"), "there is no zsh")
class Zsh(unittest.TestCase):
    """What zsh offers, on a terminal, as it completes nothing without one."""

    def complete(self, line):
        with tempfile.TemporaryDirectory() as folder:
            offered = Path(folder, "offered")
            offered.touch()
            Path(folder, ".zshrc").write_text(f"setopt extendedglob\n{ZSH}")
            env = {
                "PATH": f"{OSC.parent}:{os.environ['PATH']}",
                "HOME": folder,
                "TERM": "xterm",
                "OFFERED": str(offered),
                "SITE_FUNCTIONS": str(Path(sys.prefix, "share", "zsh", "site-functions")),
            }
            terminal, its_end = pty.openpty()
            shell = subprocess.Popen(["zsh", "-d", "-i"], stdin=its_end, stdout=its_end, stderr=its_end, env=env)
            os.close(its_end)
            shown = b""
            with contextlib.suppress(OSError):  # the other end is closed
                while part := os.read(terminal, 4096):
                    shown += part
                    if b"ready> " in shown and line:
                        os.write(terminal, f"{line}\t\x15exit\n".encode())
                        line = None
            os.close(terminal)
            self.assertEqual(shell.wait(timeout=60), 0)
            return {*offered.read_text().splitlines()} - {""}

    def test_zsh_completes_commands_options_and_values(self):
        self.assertEqual(self.complete("osc cloudupload "), {*NAMES})
        self.assertEqual(self.complete("osc -A obs cloudupload l"), {"list", "log"})
        self.assertEqual(self.complete("osc cloudupload log --f"), {"--follow"})
        self.assertEqual(self.complete("osc cloudupload create --route "), {"direct", "import", "copy"})
        self.assertEqual(self.complete("osc cloudupload create --encrypted="), {"true", "false"})
        self.assertEqual(self.complete("osc cloudupload delete-image 7 -"), {"-h", "--help", "-y", "--yes", "--json"})

    def test_zsh_leaves_all_else_to_the_completion_of_osc(self):
        self.assertIn("cloudupload", self.complete("osc cl"))
        self.assertNotIn("cloudupload", self.complete("osc checkout cl"))


class Sources(unittest.TestCase):
    """What is said twice is the same in both places."""

    top = Path(__file__).resolve().parents[3]

    def test_the_wishes_are_those_of_the_uploader(self):
        page = (self.top / "docs" / "json.md").read_text().partition("## What you may wish")[2]
        self.assertEqual({*re.findall(r"^\| `(\w+)` \|", page, re.M)}, {*commands.WISHES, "tags"})

    def test_the_images_are_those_of_the_uploader(self):
        from osc_cloudupload import images

        source = (self.top / "functions" / "cloudupload" / "src" / "obs.rs").read_text()
        endings = re.search(r"const CLOUD_IMAGES: \[&str; \d\] = \[(.*?)\]", source)[1]
        self.assertEqual(tuple(re.findall(r'"(.*?)"', endings)), images.ENDINGS)

    def test_the_licence_is_that_of_the_uploader(self):
        here = Path(__file__).resolve().parents[1]
        self.assertEqual((here / "LICENSE").read_bytes(), (self.top / "LICENSE").read_bytes())

    def test_the_package_for_openSUSE_has_the_same_version(self):
        here = Path(__file__).resolve().parents[1]
        version = re.search(r"^Version: +(\S+)$", (here / "osc-cloudupload.spec").read_text(), re.M)[1]
        self.assertEqual(version, osc_cloudupload.__version__)
