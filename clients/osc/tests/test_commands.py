"""The commands by the real osc, with stand-ins for OBS and the cloud uploader."""

import json

from tests.fake_service import AMI, DELETED, TOKEN
from tests.world import FILE, PACKAGE, PROJECT, World

MAY_BE_MADE = "Service Unavailable. The job may have been made nevertheless: see 'osc cloudupload list'\n"


class Create(World):
    def setUp(self):
        super().setUp()
        self.sign_in()
        self.build()

    def test_the_only_image_of_a_checkout_needs_no_words(self):
        self.assertEqual(self.succeeds("create", cwd=self.checkout()), "1\n")
        subject = {"project": PROJECT, "package": PACKAGE, "repository": "images", "arch": "x86_64", "filename": FILE}
        self.assertEqual(self.service.uploads, [subject])

    def test_a_package_that_is_named_needs_no_checkout(self):
        for words in ([PROJECT, PACKAGE], [f"{PROJECT}/{PACKAGE}"], [PROJECT, PACKAGE, "images", "x86_64"]):
            self.succeeds("create", *words)
        self.assertEqual([upload["filename"] for upload in self.service.uploads], [FILE] * 3)

    def test_a_file_that_is_named_is_not_looked_for(self):
        self.succeeds("create", PROJECT, PACKAGE, "images", "x86_64", "other.raw")
        self.assertEqual(self.service.uploads[0]["filename"], "other.raw")
        self.assertEqual(self.obs.requests, [])

    def test_of_several_images_it_says_which_there_are(self):
        self.build(arch="aarch64", file="leap-ec2.aarch64-15.6.raw.xz")
        self.build(package=f"{PACKAGE}:byos")
        self.build(file=f"{FILE}.sha256")
        self.build(arch="s390x")
        said = self.fails("create", PROJECT, PACKAGE, code=2)
        self.assertEqual(
            said.splitlines(),
            [
                "There are several images. Say which:",
                f"    osc cloudupload create {PROJECT} {PACKAGE} images aarch64 leap-ec2.aarch64-15.6.raw.xz",
                f"    osc cloudupload create {PROJECT} {PACKAGE} images x86_64 {FILE}",
                f"    osc cloudupload create {PROJECT} {PACKAGE}:byos images x86_64 {FILE}",
            ],
        )
        self.assertEqual(self.service.uploads, [])
        # What it says can be typed.
        self.succeeds(*said.splitlines()[3].split()[2:])
        self.assertEqual(self.service.uploads[0]["package"], f"{PACKAGE}:byos")

    def test_on_a_terminal_it_asks_which_image(self):
        self.build(arch="aarch64")
        code, shown = self.home.osc_on_terminal(
            "create", PROJECT, PACKAGE, answers=[("1 to 2: $", "3"), ("1 to 2: $", "2")]
        )
        self.assertEqual(code, 0, shown)
        self.assertEqual([upload["arch"] for upload in self.service.uploads], ["x86_64"])
        self.assertTrue(shown.endswith("\n1\n"), shown)

    def test_no_image_and_no_project_are_told_apart(self):
        self.assertIn("OBS has built no cloud image of Cloud:Images/other", self.fails("create", PROJECT, "other"))
        self.assertIn("unknown project 'Clod:Images'", self.fails("create", "Clod:Images", PACKAGE))

    def test_elsewhere_than_in_a_checkout_it_wants_names(self):
        self.assertIn("name PROJECT and PACKAGE", self.fails("create", code=2))
        self.assertIn("too many arguments", self.fails("create", *"abcdef", code=2))

    def test_wishes_are_sent(self):
        words = ["--region", "us-east-1", "--ami-name", "leap 15.6", "--tag", "Team=images", "--tag", "a=b=c"]
        self.succeeds("create", PROJECT, PACKAGE, *words, "--route", "direct", "--volume-size", "20")
        wishes = {
            "region": "us-east-1",
            "ami_name": "leap 15.6",
            "tags": {"Team": "images", "a": "b=c"},
            "route": "direct",
            "volume_size": "20",
        }
        self.assertEqual({name: self.service.uploads[0][name] for name in wishes}, wishes)
        self.assertIn("'Team' is not KEY=VALUE", self.fails("create", PROJECT, PACKAGE, "--tag", "Team", code=2))

    def test_a_watched_job_ends_with_its_ami_alone(self):
        done = self.osc("create", PROJECT, PACKAGE, "--watch")
        self.assertEqual((done.returncode, done.stdout), (0, f"{AMI}\n"))
        states = ["created", "receiving", "uploading", "succeeded"]
        self.assertEqual(done.stderr, "".join(f"job 1: {state}\n" for state in states))

    def test_a_create_call_is_sent_once(self):
        self.service.hiccups = 1
        self.assertEqual(self.fails("create", PROJECT, PACKAGE), MAY_BE_MADE)
        self.assertEqual(self.service.uploads, [])

    def test_a_job_as_json(self):
        job = json.loads(self.succeeds("create", PROJECT, PACKAGE, "--json"))
        self.assertEqual((job["id"], job["state"], job["filename"]), (1, "created", FILE))


class Jobs(World):
    def setUp(self):
        super().setUp()
        self.sign_in()
        self.build()

    def create(self, script=None):
        self.service.script = script or self.service.script
        return int(self.succeeds("create", PROJECT, PACKAGE, "images", "x86_64", FILE))

    def test_the_list_has_the_newest_first(self):
        self.create([("succeeded", 100)])
        self.create([("failed", 3)])
        self.create([("uploading", 42)])
        for number in (1, 2, 3):
            self.service.look(number, {}, None)
        lines = self.succeeds("list").splitlines()
        self.assertEqual(lines[0].split(), ["JOB", "STATE", "CREATED", "REGION", "IMAGE", "RESULT"])
        words = [line.split() for line in lines[1:]]
        self.assertEqual([word[0] for word in words], ["3", "2", "1"])
        self.assertEqual(words[0][1:3], ["uploading", "42%"])
        self.assertTrue(lines[2].endswith("the role cannot be assumed"))
        self.assertEqual(words[2][-2:], [f"{PROJECT}/{PACKAGE}/{FILE}", AMI])
        self.assertEqual([job["id"] for job in json.loads(self.succeeds("ls", "--json"))], [3, 2, 1])

    def test_a_long_list_is_read_in_parts(self):
        self.create()
        self.service.jobs = {number: {**self.service.jobs[1], "id": number} for number in range(1, 251)}
        jobs = json.loads(self.succeeds("list", "-n", "230", "--json"))
        self.assertEqual([job["id"] for job in jobs], list(range(250, 20, -1)))
        limits = [path.split("?")[1] for _, path in self.service.requests if "?" in path]
        self.assertEqual(limits, ["limit=100", "limit=100&before=151", "limit=30&before=51"])

    def test_an_empty_list_has_its_header(self):
        self.assertEqual(len(self.succeeds("list").splitlines()), 1)
        self.assertEqual(self.succeeds("list", "--json"), "[]\n")
        self.assertIn("you have no jobs yet", self.fails("status"))

    def test_a_command_without_a_number_means_the_newest_job(self):
        self.create()
        self.create()
        self.assertEqual(json.loads(self.succeeds("status", "--json"))["id"], 2)
        self.assertEqual(json.loads(self.succeeds("status", "1", "--json"))["id"], 1)
        self.assertIn("state:       uploading", self.succeeds("status", "2").replace("receiving", "uploading"))

    def test_watching_ends_with_the_ami_alone_and_exit_code_0(self):
        self.create()
        done = self.osc("watch")
        self.assertEqual((done.returncode, done.stdout), (0, f"{AMI}\n"), done.stderr)

    def test_watching_a_job_that_fails_tells_why_and_prints_nothing(self):
        self.create([("uploading", 5), ("failed", 5)])
        said = self.fails("watch", "1")
        self.assertEqual(said, "job 1: uploading\njob 1: failed\njob 1 failed: the role cannot be assumed\n")

    def test_watching_survives_a_service_that_is_away_for_a_moment(self):
        self.create([("succeeded", 100)])
        self.service.hiccups = 2
        self.assertEqual(self.succeeds("watch", "1"), f"{AMI}\n")

    def test_on_a_terminal_watching_shows_a_bar(self):
        self.create()
        code, shown = self.home.osc_on_terminal("watch")
        self.assertEqual(code, 0, shown)
        self.assertIn(f"job 1: uploading [{'#' * 16}{'.' * 14}]  55% ", shown)
        self.assertTrue(shown.endswith(f"\n{AMI}\n"), shown)

    def test_a_log_is_printed_as_it_is(self):
        self.create()
        self.service.logs[1] = "Größe\n" * 300_000  # more than fits into one answer
        self.assertEqual(self.succeeds("log", "1"), self.service.logs[1])

    def test_a_log_is_followed_to_the_job_s_end(self):
        self.create([("receiving", 1), ("uploading", 2), ("failed", 2)])
        self.assertEqual(self.succeeds("log", "-f"), "Größe 1\n" * 4)

    def test_a_killed_job_fails(self):
        self.create()
        self.assertEqual(self.succeeds("kill", "1"), "job 1: failed, killed\n")
        self.assertEqual(self.fails("watch"), "job 1: failed\njob 1 failed: killed\n")
        self.assertIn("required: JOB", self.fails("kill", code=2))

    def test_a_retry_has_the_same_image_and_all_wishes(self):
        wishes = ("--region", "us-east-1", "--ami-name", "leap", "--volume-size", "9", "--tag", "a=b")
        self.succeeds("create", PROJECT, PACKAGE, *wishes)
        self.assertEqual(self.succeeds("retry", "1"), "2\n")
        first, second = self.service.uploads
        self.assertEqual((second, second["tags"]), (first, {"a": "b"}))
        self.assertEqual(json.loads(self.succeeds("retry", "--json"))["ami_name"], "leap")
        self.assertEqual(self.succeeds("retry", "--watch"), f"{AMI}\n")
        # Other wishes are another upload's.
        self.assertIn("unrecognized arguments", self.fails("retry", "1", "--region", "eu-west-1", code=2))

    def test_a_retry_is_sent_once(self):
        self.create()
        self.service.hiccups = 1
        self.assertEqual(self.fails("retry", "1"), MAY_BE_MADE)
        self.assertEqual(len(self.service.jobs), 1)

    def image(self):
        number = self.create([("succeeded", 100)])
        self.service.look(number, {}, None)

    def deletions(self):
        return [path for method, path in self.service.requests if method == "DELETE"]

    def test_an_image_is_deleted(self):
        self.image()
        self.assertEqual(self.succeeds("delete-image", "1", "--yes"), f"job 1: {AMI} and its snapshot are deleted\n")
        self.assertEqual(self.service.jobs[1]["image_deleted"], DELETED)
        self.assertRegex(self.succeeds("status"), r"image_deleted: +20\d\d-")
        self.assertTrue(self.succeeds("list").endswith(f"{AMI} (deleted)\n"))
        # Once more, there is nothing to ask.
        self.assertEqual(json.loads(self.succeeds("delete-image", "--json"))["image_deleted"], DELETED)
        said = self.fails("watch", "1")
        self.assertEqual(said, "job 1: succeeded\nthe image of job 1 was deleted\n")

    def test_on_a_terminal_it_asks_before_it_deletes(self):
        self.image()
        question = rf"Delete {AMI} \('{FILE}'\) in eu-central-1, and its snapshot\? \(yes or no\) \[no\]: $"
        for answer in ("", "no", "n"):
            code, shown = self.home.osc_on_terminal("delete-image", answers=[(question, answer)])
            self.assertNotEqual(code, 0, shown)
        self.assertEqual(self.deletions(), [])
        for answer in ("yes", "Y"):
            code, shown = self.home.osc_on_terminal("delete-image", "1", answers=[(question, answer)])
            self.assertEqual(code, 0, shown)
            self.service.jobs[1]["image_deleted"] = None
        self.assertEqual(self.deletions(), ["/v1/jobs/1/image"] * 2)
        code, shown = self.home.osc_on_terminal("delete-image", "-y")
        self.assertEqual((code, shown), (0, f"job 1: {AMI} and its snapshot are deleted\n"))

    def test_without_a_terminal_it_deletes_nothing_unless_it_may(self):
        self.image()
        self.assertIn("--yes deletes without a question", self.fails("delete-image", "1", code=2))
        self.assertEqual(self.deletions(), [])

    def test_an_image_that_is_not_there_is_told_without_a_question(self):
        self.create([("failed", 5)])
        said = self.fails("delete-image", "1")
        self.assertEqual(said, "job 1 is failed: only a job that has succeeded has an image\n")

    def test_a_job_that_does_not_exist(self):
        for command in ("status", "log", "watch", "kill", "retry", "delete-image"):
            with self.subTest(command):
                self.assertEqual(self.fails(command, "9"), "no such job\n")


class Errors(World):
    def test_a_token_that_is_refused_is_told_in_the_service_s_words(self):
        self.sign_in()
        said = self.fails("list", env={"OSC_CLOUDUPLOAD_TOKEN": TOKEN[:-1]})
        self.assertEqual(said, "this token is not known, or was revoked: ask the operators for another one\n")

    def test_without_an_address_or_a_token_it_says_what_to_do(self):
        self.assertEqual(
            self.fails("list"), f"no cloud uploader is known for {self.obs.url}: run 'osc cloudupload setup'\n"
        )
        said = self.fails("list", env={"OSC_CLOUDUPLOAD_URL": self.service.url})
        self.assertIn(f"no token is known for {self.service.url}", said)
        self.assertEqual(self.service.requests, [])

    def test_a_token_is_not_sent_in_the_clear_nor_to_an_odd_address(self):
        self.sign_in()
        for url in (
            "http://example.invalid",
            "ftp://127.0.0.1",
            "example.invalid",
            "https://a:b@example.invalid",
            "https://",
        ):
            with self.subTest(url):
                self.assertIn(f"'{url}'", self.fails("list", env={"OSC_CLOUDUPLOAD_URL": url}))

    def test_a_redirect_is_not_followed(self):
        self.sign_in()
        from tests.server import Refusal, Server

        class Elsewhere(Server):
            def answer(server, *_):
                raise Refusal(302, {}, headers=[("Location", f"{self.service.url}/v1/me")])

        elsewhere = self.enterContext(Elsewhere())
        said = self.fails("status", "1", env={"OSC_CLOUDUPLOAD_URL": elsewhere.url})
        self.assertEqual(said, f"{elsewhere.url} answered 302 Found\n")
        self.assertEqual(self.service.requests, [])

    def test_a_service_that_is_not_there(self):
        self.sign_in()
        said = self.fails("kill", "1", env={"OSC_CLOUDUPLOAD_URL": "http://127.0.0.1:9"})
        self.assertEqual(said, "http://127.0.0.1:9 cannot be reached: [Errno 111] Connection refused\n")

    def test_words_that_mean_nothing_are_refused(self):
        self.sign_in()
        self.assertIn("unrecognized arguments: x", self.fails("list", "x", code=2))
        self.assertIn("unrecognized arguments: --yes", self.fails("kill", "1", "--yes", code=2))
        self.assertEqual(self.service.requests, [])

    def test_without_a_subcommand_it_lists_them(self):
        done = self.osc()
        self.assertEqual(done.returncode, 2)
        self.assertIn("Wait for a job's AMI", done.stdout)
