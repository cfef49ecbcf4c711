from playwright.sync_api import expect

from page.tests.visit import PageTest, heading, news, run_clock, settle, sign_in

HIDE = """(hidden) => {
    Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
    document.dispatchEvent(new Event("visibilitychange"));
}"""
LIST = "GET /v1/jobs"


class JobsTest(PageTest):
    def setUp(self):
        super().setUp()
        self.service.connect()

    def timed(self, address=""):
        """Signed in, with a clock that the test moves."""
        page = self.open(address)
        page.clock.install()
        page.reload()
        sign_in(page)
        return page

    def rows(self, page):
        return page.get_by_role("list", name="Your uploads").get_by_role("listitem")

    def test_a_list_without_jobs_says_so(self):
        page = self.signed_in()
        expect(page.get_by_text("There are none yet.")).to_be_visible()
        page.get_by_role("link", name="Upload an image").click()
        heading(page, "New upload")

    def test_jobs_are_listed_newest_first_with_their_ends(self):
        ami = "ami-0123456789abcdef0"
        self.service.add_job("succeeded", details=ami, ami=ami)
        self.service.add_job("failed", details="the role may not write: <b>add</b> ebs:StartSnapshot")
        self.service.add_job("uploading", details="uploading image", progress=40)
        page = self.signed_in()
        rows = self.rows(page)
        expect(rows).to_have_count(3)
        expect(rows.nth(0)).to_contain_text("3: leap-ec2.x86_64-15.6.raw.xz")
        expect(rows.nth(0).get_by_role("progressbar")).to_have_attribute("value", "40")
        expect(rows.nth(1)).to_contain_text("the role may not write: <b>add</b> ebs:StartSnapshot")
        link = rows.nth(2).get_by_role("link", name=f"Open {ami} in the EC2 console of eu-central-1")
        expect(link).to_have_text(ami)
        expect(link).to_have_attribute(
            "href", f"https://eu-central-1.console.aws.amazon.com/ec2/home?region=eu-central-1#ImageDetails:imageId={ami}"
        )
        rows.nth(0).get_by_role("link").click()
        heading(page, "Upload 3")
        page.go_back()
        heading(page, "Uploads")

    def test_the_console_is_that_of_the_region_s_partition(self):
        domains = {
            "cn-north-1": "console.amazonaws.cn",
            "us-gov-west-1": "console.amazonaws-us-gov.com",
            "eusc-de-east-1": "console.amazonaws-eusc.eu",
            "us-east-1": "console.aws.amazon.com",
        }
        for region in domains:
            self.service.add_job("succeeded", details="ami-1", ami="ami-1", region=region)
        self.service.add_job("succeeded", details="ami-1", ami="ami-1", region="x.example/?")
        page = self.signed_in()
        for region, domain in domains.items():
            link = page.get_by_role("link", name=f"EC2 console of {region}")
            self.assertTrue(link.get_attribute("href").startswith(f"https://{region}.{domain}/ec2/"), region)
        expect(page.get_by_role("link", name="EC2 console of")).to_have_count(len(domains))

    def test_progress_moves_and_its_news_are_told(self):
        self.service.add_job("uploading", progress=10)
        page = self.timed()
        row = self.rows(page).nth(0)
        expect(row.get_by_role("progressbar")).to_have_attribute("value", "10")
        self.service.move(1, "uploading", progress=70)
        self.service.add_job("created")
        page.clock.run_for(2_000)
        expect(self.rows(page)).to_have_count(2)
        expect(self.rows(page).nth(1).get_by_role("progressbar")).to_have_attribute("value", "70")
        self.service.move(1, "succeeded", details="ami-1", ami="ami-1")
        page.clock.run_for(2_000)
        expect(news(page)).to_have_text("Upload 1 is succeeded.")

    def test_looks_become_rare_where_nothing_changes_and_stop_where_nobody_looks(self):
        self.service.add_job("scheduled")
        page = self.timed()
        expect(self.rows(page)).to_have_count(1)

        def looks(seconds):
            before = self.service.count(LIST)
            run_clock(page, seconds)
            return self.service.count(LIST) - before

        # After 2, 5, 9.5, 16, 26 and 41 seconds, about.
        self.assertIn(looks(20), (3, 4, 5))
        self.assertIn(looks(20), (1, 2))
        page.evaluate(HIDE, True)
        self.assertEqual(looks(16), 0)
        page.evaluate(HIDE, False)
        settle(page)
        self.service.move(1, "failed", details="killed")
        page.evaluate(HIDE, True)
        page.evaluate(HIDE, False)
        expect(self.rows(page)).to_contain_text("killed")
        self.assertLessEqual(looks(16), 1)

    def test_a_list_that_is_refused_is_tried_again(self):
        self.service.add_job("scheduled")
        page = self.timed()
        expect(self.rows(page)).to_have_count(1)
        self.service.refuse("GET", "/v1/jobs", 503, "dynamodb:Query: ThrottlingException: slow down")
        page.clock.run_for(2_000)
        expect(page.get_by_role("alert")).to_contain_text("slow down")
        expect(self.rows(page)).to_have_count(1)
        page.clock.run_for(8_000)
        expect(page.get_by_role("alert")).to_be_hidden()

    def test_older_jobs_come_on_demand(self):
        for _ in range(45):
            self.service.add_job("failed", details="killed")
        page = self.signed_in()
        rows, more = self.rows(page), page.get_by_role("button", name="Show older uploads")
        expect(rows).to_have_count(20)
        more.click()
        expect(rows).to_have_count(40)
        expect(rows.nth(20).get_by_role("link")).to_be_focused()
        more.click()
        expect(rows).to_have_count(45)
        expect(more).to_be_hidden()
        numbers = [int(text.split(":")[0]) for text in rows.get_by_role("link").all_inner_texts()]
        self.assertEqual(numbers, list(range(45, 0, -1)))
