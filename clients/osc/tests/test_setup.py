"""Sign-in and the three steps, on a terminal and without one."""

import json
import re

from tests.fake_service import ARN, EXTERNAL_ID, TOKEN
from tests.world import World

OTHER = "arn:aws:iam::123456789012:role/other"


class Setup(World):
    def sign_in_by_hand(self, *words, answers=()):
        """osc numbers its credentials managers by what is installed: this takes the one that writes into oscrc."""
        first = [("Address of the cloud uploader: $", self.service.url)] if "--url" not in words else []
        manager = [("Token: $", TOKEN), (r"Select credentials manager \[default=1\]: $", self.plain_manager())]
        return self.home.osc_on_terminal("setup", *words, answers=[*first, *manager, *answers])

    def plain_manager(self):
        from osc import credentials

        names = [manager.name() for manager in credentials.get_credentials_manager_descriptors()]
        return str(names.index("Config") + 1)

    def test_the_first_time(self):
        steps = [("Role ARN: $", ARN), ("such as eu-central-1: $", "eu-west-1")]
        code, shown = self.sign_in_by_hand(answers=steps)
        self.assertEqual(code, 0, shown)
        self.assertNotIn(TOKEN, shown)
        for text in ("Signed in as tom.", "Step 1 of 3", EXTERNAL_ID, "210987654321", self.service.quick_create_url):
            self.assertIn(text, shown)
        self.assertIn(f"Connected: {ARN}, for images in eu-west-1", shown)
        self.assertRegex(shown, r"direct +yes\n")
        self.assertRegex(shown, r"import +no +s3:ListBucket\n")
        self.assertIn("Uploads can succeed.", shown)
        # From now on, nothing is asked, and oscrc has kept what it had.
        self.assertEqual(self.succeeds("list", "--json"), "[]\n")
        oscrc = self.home.oscrc.read_text()
        self.assertIn("# a comment", oscrc)
        self.assertRegex(oscrc, f"cloudupload_url *= *{self.service.url}\n")
        self.assertEqual(self.home.oscrc.stat().st_mode & 0o777, 0o600)

    def test_a_second_time_the_role_is_tried_again(self):
        self.service.missing = ["ec2:RegisterImage"]
        code, shown = self.sign_in_by_hand(answers=[("Role ARN: $", ARN), ("such as eu-central-1: $", "eu-west-1")])
        self.assertEqual(code, 1, shown)
        self.assertIn("Every upload needs what the role lacks: ec2:RegisterImage", shown)
        self.service.missing = []
        again = [(rf"Role ARN \[{ARN}\]: $", ""), (r"such as eu-central-1 \[eu-west-1\]: $", "")]
        code, shown = self.home.osc_on_terminal("setup", answers=again)
        self.assertEqual(code, 0, shown)
        self.assertEqual((self.service.role["arn"], self.service.role["region"]), (ARN, "eu-west-1"))

    def test_an_address_whose_token_is_known_needs_no_token(self):
        self.sign_in_by_hand(answers=[("Role ARN: $", ARN), ("such as eu-central-1: $", "eu-west-1")])
        oscrc = self.home.oscrc.read_text()
        self.home.oscrc.write_text(re.sub("cloudupload_url.*\n", "", oscrc))
        self.assertIn("no cloud uploader is known", self.fails("list"))
        self.succeeds("setup", "--url", f"{self.service.url}/", "--role", ARN)
        self.assertEqual(self.succeeds("list", "--json"), "[]\n")

    def test_a_token_that_is_refused_is_not_kept(self):
        before = self.home.oscrc.read_text()
        code, shown = self.home.osc_on_terminal(
            "setup", "--url", self.service.url, answers=[("Token: $", "cloudup_tom_guess")]
        )
        self.assertEqual(code, 1, shown)
        self.assertIn("this token is not known", shown)
        self.assertEqual(self.home.oscrc.read_text(), before)

    def test_without_a_terminal_it_shows_the_steps_and_takes_options(self):
        self.sign_in(role=False)
        done = self.osc("setup")
        self.assertEqual((done.returncode, done.stdout), (1, "No role is connected.\n"), done.stderr)
        self.assertIn("osc cloudupload setup --role ARN --region REGION", done.stderr)
        self.assertIn("say by --region", self.fails("setup", "--role", ARN))
        role = json.loads(self.succeeds("setup", "--role", ARN, "--region", "eu-west-1", "--json"))
        self.assertEqual((role["arn"], role["usable"]), (ARN, True))

    def test_without_a_link_it_tells_of_the_template(self):
        self.sign_in(role=False)
        self.service.quick_create_url = None
        said = self.osc("setup").stderr
        self.assertIn("infra/user-account.yaml", said)
        self.assertIn(f"ServiceAccountId=210987654321 and ExternalId={EXTERNAL_ID}", said)

    def test_a_role_that_is_refused_is_told_in_the_service_s_words(self):
        self.sign_in()
        said = self.fails("setup", "--role", OTHER)
        self.assertEqual(said, f"the role {OTHER} cannot be assumed\n")
        self.assertEqual(self.service.role["arn"], ARN)

    def test_without_a_terminal_there_is_no_sign_in(self):
        said = self.fails("setup", "--url", self.service.url)
        self.assertIn("set OSC_CLOUDUPLOAD_URL and OSC_CLOUDUPLOAD_TOKEN", said)
