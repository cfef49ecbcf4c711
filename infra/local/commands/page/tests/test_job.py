from playwright.sync_api import expect

from page.tests.visit import PageTest, heading, news, run_clock, sign_in

AMI = "ami-0123456789abcdef0"
COST = "about 1.4 cents in account 111122223333 (2305 blocks of EBS), about 2.5 cents in the service's"


class JobTest(PageTest):
    def setUp(self):
        super().setUp()
        self.service.connect()
        self.service.add_job("uploading", details="uploading image", progress=12)
        self.service.write(1, "Start uploading image leap-ec2.x86_64-15.6.raw.xz.\n")

    def timed(self, address="#/jobs/1"):
        page = self.open(address)
        page.clock.install()
        page.reload()
        sign_in(page)
        heading(page, "Upload 1")
        expect(self.log(page)).to_contain_text("Start uploading")
        return page

    def log(self, page):
        return page.get_by_role("region", name="Log")

    def test_a_job_is_shown_until_its_ami_is_there(self):
        page = self.timed()
        bar = page.get_by_role("progressbar", name="Progress")
        expect(bar).to_have_attribute("value", "12")
        expect(page.get_by_text("12 %")).to_be_visible()
        expect(page.get_by_text("506 MiB")).to_be_visible()
        self.service.move(1, "uploading", progress=55)
        # Within a character, as a part of a log may end.
        self.service.write(1, "Größe".encode()[:3])
        page.clock.run_for(2_000)
        expect(bar).to_have_attribute("value", "55")
        expect(news(page)).to_have_text("Upload 1: 55 percent")
        self.service.write(1, "Größe".encode()[3:] + b" 1342177280\n")
        self.service.move(1, "succeeded", details=AMI, ami=AMI, progress=100)
        page.clock.run_for(2_000)
        expect(news(page)).to_contain_text("Upload 1 is succeeded.")
        expect(page.get_by_role("link", name=AMI)).to_be_visible()
        expect(bar).to_be_hidden()
        self.service.write(1, f"Created image: {AMI}\nCost: {COST}\n")
        page.clock.run_for(4_000)
        expect(page.get_by_role("definition").filter(has_text="cents")).to_have_text(COST)
        self.assertEqual(
            self.log(page).inner_text(),
            f"Start uploading image leap-ec2.x86_64-15.6.raw.xz.\nGröße 1342177280\nCreated image: {AMI}\nCost: {COST}\n",
        )
        expect(page.get_by_role("button", name="Abort the upload")).to_be_hidden()

    def test_looks_end_some_time_after_the_job(self):
        page = self.timed()
        self.service.move(1, "failed", details="killed")
        self.service.jobs[1]["ended"] -= 3600
        run_clock(page, 6)
        expect(page.locator("[data-details]")).to_have_text("killed")
        looks = len(self.service.calls)
        run_clock(page, 16)
        self.assertEqual(len(self.service.calls), looks)

    def test_a_view_that_is_left_looks_no_more(self):
        page = self.timed()
        page.get_by_role("link", name="New upload").click()
        heading(page, "New upload")
        looks = len(self.service.calls)
        run_clock(page, 16)
        self.assertEqual(len(self.service.calls), looks)

    def test_an_upload_is_aborted_after_a_question(self):
        page = self.signed_in("#/jobs/1")
        abort = page.get_by_role("button", name="Abort the upload")
        abort.click()
        dialog = page.get_by_role("dialog", name="Abort upload 1?")
        dialog.get_by_role("button", name="Let it go on").click()
        expect(abort).to_be_focused()
        self.assertEqual(self.service.jobs[1]["state"], "uploading")
        abort.click()
        dialog.get_by_role("button", name="Abort it").click()
        heading(page, "Upload 1")
        expect(page.locator("[data-state]")).to_have_text("failed")
        expect(page.locator("[data-details]")).to_have_text("killed")
        expect(abort).to_be_hidden()
        page.get_by_role("link", name="Upload again").click()
        heading(page, "New upload")
        expect(page.get_by_label("Project")).to_have_value("Cloud:Images")
        expect(page.get_by_label("File")).to_have_value("leap-ec2.x86_64-15.6.raw.xz")

    def succeeded(self):
        self.service.move(1, "succeeded", details=AMI, ami=AMI, progress=100)
        return self.signed_in("#/jobs/1")

    def test_an_image_is_deleted_after_a_question(self):
        page = self.succeeded()
        delete = page.get_by_role("button", name="Delete the image")
        delete.click()
        dialog = page.get_by_role("dialog", name=f"Delete {AMI}?")
        expect(dialog).to_contain_text("Instances that run go on.")
        dialog.get_by_role("button", name="Keep it").click()
        expect(delete).to_be_focused()
        self.assertIsNone(self.service.jobs[1]["image_deleted"])
        delete.click()
        dialog.get_by_role("button", name="Delete it").click()
        heading(page, "Upload 1")
        expect(page.locator("[data-ami]")).to_contain_text(f"{AMI}, deleted ")
        expect(news(page)).to_have_text("The image of upload 1 is deleted.")
        expect(page.get_by_role("link", name=AMI)).to_have_count(0)
        expect(delete).to_be_hidden()
        page.get_by_role("link", name="Uploads").click()
        expect(page.get_by_role("list", name="Your uploads")).to_contain_text(f"{AMI}, deleted ")

    def test_an_image_that_cannot_be_deleted_is_told(self):
        page = self.succeeded()
        sentence = "snap-1 is also the snapshot of ami-2: deregister that first"
        self.service.refuse("DELETE", "/v1/jobs/1/image", 409, sentence)
        page.get_by_role("button", name="Delete the image").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete it").click()
        expect(page.get_by_role("alert")).to_have_text(sentence)
        expect(page.get_by_role("link", name=AMI)).to_be_visible()

    def test_an_upload_that_failed_is_tried_again(self):
        self.service.jobs[1]["ami_name"] = "leap"
        page = self.signed_in("#/jobs/1")
        retry = page.get_by_role("button", name="Try again")
        heading(page, "Upload 1")
        expect(retry).to_be_hidden()
        self.service.move(1, "failed", details="the role cannot be assumed")
        expect(page.get_by_role("button", name="Delete the image")).to_be_hidden()
        retry.click()
        heading(page, "Upload 2")
        expect(page.locator("[data-name]")).to_have_text("leap")
        self.assertEqual(self.service.count("POST /v1/jobs/1/retry"), 1)

    def test_a_job_of_somebody_else_is_none(self):
        page = self.signed_in("#/jobs/7")
        expect(page.get_by_role("alert")).to_have_text("no such job")
        expect(self.log(page)).to_be_hidden()
        page.get_by_role("link", name="Uploads").click()
        heading(page, "Uploads")

    def test_markup_in_a_log_is_text(self):
        self.service.write(1, "<img src=x onerror=alert(1)><script>alert(2)</script>\n")
        page = self.signed_in("#/jobs/1")
        expect(self.log(page)).to_contain_text("<img src=x onerror=alert(1)><script>alert(2)</script>")
        self.assertEqual(page.locator("main img, main script").count(), 0)
