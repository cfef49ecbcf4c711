import time

from playwright.sync_api import expect

from page.tests.visit import PageTest, heading, news


class UploadTest(PageTest):
    def setUp(self):
        super().setUp()
        self.service.connect()

    def fill(self, page):
        page.get_by_label("Project").fill("Cloud:Images")
        page.get_by_label("Repository").fill("images")
        page.get_by_label("Package").fill(" leap-ec2 ")

    def offered(self, page, field):
        """The values that a field offers."""
        options = "(input) => Array.from(input.list.options, (option) => option.value)"
        return lambda: page.get_by_label(field).evaluate(options)

    def expect_offers(self, page, field, values):
        offered = self.offered(page, field)
        deadline = time.monotonic() + 5
        while offered() != values and time.monotonic() < deadline:
            page.wait_for_timeout(20)
        self.assertEqual(offered(), values)

    def test_each_field_offers_what_obs_has(self):
        page = self.signed_in("#/upload")
        self.expect_offers(page, "Project", ["Cloud:Images", "home:tom"])
        page.get_by_label("Project").fill("Cloud:Images")
        page.keyboard.press("Tab")
        # The only one is filled in.
        expect(page.get_by_label("Repository")).to_have_value("images")
        self.expect_offers(page, "Package", ["leap-ec2", "leap-minimal"])
        page.get_by_label("Architecture").select_option("aarch64")
        self.expect_offers(page, "Package", ["leap-ec2"])
        page.get_by_label("Package").fill("leap-ec2")
        page.keyboard.press("Tab")
        self.expect_offers(page, "File", ["leap-ec2.aarch64-15.6.raw.xz"])
        page.get_by_label("Project").fill("home:tom")
        page.get_by_label("Repository").fill("")
        page.get_by_label("Architecture").select_option("x86_64")
        self.expect_offers(page, "Repository", ["a", "b"])
        expect(page.get_by_label("Repository")).to_have_value("")
        page.get_by_label("Repository").fill("b")
        page.keyboard.press("Tab")
        self.expect_offers(page, "Package", ["mine+1"])
        page.get_by_label("Package").fill("mine+1")
        page.keyboard.press("Tab")
        self.expect_offers(page, "File", ["mine+1.x86_64-15.6.raw.xz"])

    def test_a_project_that_is_not_allowed_is_told_at_once(self):
        page = self.signed_in("#/upload")
        page.get_by_label("Project").fill("Secret:Things")
        page.keyboard.press("Tab")
        note = page.locator("[data-offers]")
        expect(note).to_have_text("the project 'Secret:Things' is none that users may upload from")
        page.get_by_label("Project").fill("Cloud:Images")
        page.keyboard.press("Tab")
        expect(note).to_be_hidden()

    def test_an_image_without_wishes(self):
        page = self.signed_in("#/upload")
        expect(page.get_by_label("Name of the AMI")).to_be_hidden()
        self.fill(page)
        page.get_by_role("button", name="Upload").click()
        heading(page, "Upload 1")
        expect(news(page)).to_have_text("Upload 1 is created.")
        job = self.service.jobs[1]
        named = [job[field] for field in ("project", "repository", "package", "arch")]
        self.assertEqual(named, ["Cloud:Images", "images", "leap-ec2", "x86_64"])
        self.assertEqual(job["wishes"], {})

    def test_all_wishes(self):
        page = self.signed_in("#/upload")
        self.fill(page)
        page.get_by_label("Architecture").select_option("aarch64")
        page.get_by_label("File").fill("leap.raw.xz")
        page.get_by_text("Wishes:").click()
        page.get_by_label("Region").fill("eu-west-1")
        page.get_by_label("Name of the AMI").fill("leap 15.6")
        page.get_by_label("Route").select_option("copy")
        page.get_by_label("Boot mode").select_option("uefi")
        page.get_by_label("Root volume in GiB").fill("20")
        page.get_by_label("Instance metadata").select_option("none")
        page.get_by_label("KMS key").fill("alias/images")
        page.get_by_label("Tags").fill("team = images\n\nnote=a=b\nempty=")
        page.get_by_label("Encrypt the snapshot").check()
        page.get_by_label("NitroTPM").check()
        page.get_by_role("button", name="Upload").click()
        heading(page, "Upload 1")
        job = self.service.jobs[1]
        self.assertEqual((job["arch"], job["filename"]), ("aarch64", "leap.raw.xz"))
        self.assertEqual(
            job["wishes"],
            {
                "region": "eu-west-1",
                "ami_name": "leap 15.6",
                "route": "copy",
                "boot_mode": "uefi",
                "volume_size": 20,
                "imds_support": "none",
                "kms_key_id": "alias/images",
                "tags": {"team": "images", "note": "a=b", "empty": ""},
                "encrypted": True,
                "tpm_support": "v2.0",
            },
        )

    def test_what_is_missing_is_asked_for_before_the_service_is(self):
        page = self.signed_in("#/upload")
        heading(page, "New upload")
        page.get_by_role("button", name="Upload").click()
        expect(page.get_by_label("Project")).to_be_focused()
        self.fill(page)
        page.get_by_text("Wishes:").click()
        page.get_by_label("Tags").fill("team")
        page.get_by_role("button", name="Upload").click()
        expect(page.get_by_role("alert")).to_contain_text("The tag 'team' has no value")
        self.assertEqual(self.service.count("POST"), 0)

    def test_a_refusal_keeps_what_was_filled_in(self):
        page = self.signed_in("#/upload")
        self.fill(page)
        reason = "remote error: leap-ec2  No such file or directory"
        self.service.refuse("POST", "/v1/jobs", 404, reason)
        page.get_by_role("button", name="Upload").click()
        expect(page.get_by_role("alert")).to_have_text(reason)
        expect(page.get_by_label("Project")).to_have_value("Cloud:Images")
        page.get_by_role("button", name="Upload").click()
        heading(page, "Upload 1")

    def test_two_clicks_are_one_upload(self):
        page = self.signed_in("#/upload")
        self.fill(page)
        page.get_by_role("button", name="Upload").dblclick()
        heading(page, "Upload 1")
        self.assertEqual(self.service.count("POST /v1/jobs"), 1)

    def test_an_address_may_fill_the_form(self):
        page = self.signed_in("#/upload?project=home%3Atom&package=mine%2B1&repository=a&arch=aarch64&region=eu-west-1")
        expect(page.get_by_label("Project")).to_have_value("home:tom")
        expect(page.get_by_label("Package")).to_have_value("mine+1")
        expect(page.get_by_label("Architecture")).to_have_value("aarch64")
        self.assertEqual(self.service.count("POST"), 0)
