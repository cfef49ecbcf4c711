"""The page of the function itself, on the local stack, from a token to the AMI."""

import os
import secrets
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request
from pathlib import Path

from playwright.sync_api import expect

from common import local_user, uploads
from common.paths import LOCAL
from page.browser import axe_source
from page.tests.visit import BrowserTest, heading, sign_in

AMI_TIMEOUT = 60_000
"""Milliseconds from the click to the AMI."""

FILE = "page.x86_64-1.raw.xz"

WATCH = """
new MutationObserver(() => {
  if (document.activeElement?.id === "token") {
    window.usableAt ??= performance.now();
  }
}).observe(document, {childList: true, subtree: true});
"""
WAITED = "() => window.usableAt - performance.getEntriesByType('navigation')[0].responseStart"


@unittest.skipUnless(os.environ.get("USERS_TABLE"), "no stack: . target/local/env has the settings of one")
class StackTest(BrowserTest):
    @classmethod
    def setUpClass(cls):
        cls.name = f"page-{secrets.token_hex(4)}"
        cls.user = local_user.make(os.environ, cls.name)
        cls.addClassCleanup(local_user.remove, os.environ, cls.name)
        folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        disk = folder / FILE
        make_disk = [LOCAL / "make-disk", disk, "--size-mib", "48", "--content-mib", "16"]
        subprocess.run(make_disk, check=True, stdout=subprocess.DEVNULL)
        cls.build = uploads.build_result(cls.name)
        # Not by a link, as a temporary folder may be on another disk.
        result = Path(os.environ["OBS_ROOT"], *cls.build.values(), FILE)
        result.parent.mkdir(parents=True)
        result.write_bytes(disk.read_bytes())
        cls.addClassCleanup(lambda: (result.unlink(), result.parent.rmdir()))

    def test_from_a_token_to_the_ami(self):
        visit = self.visit(local_user.page_url(os.environ))
        page = visit.page
        sign_in(page, f"{self.user.token[:-4]}0000")
        expect(page.get_by_role("alert")).to_contain_text("the token is wrong")
        sign_in(page, self.user.token)
        heading(page, "Your role")
        page.get_by_label("The role's ARN").fill(self.user.role)
        page.get_by_label("Region of new AMIs").fill(os.environ["USER_REGION"])
        page.get_by_role("button", name="Try and connect the role").click()
        connected = page.get_by_role("region", name="Connected role")
        expect(connected).to_contain_text("Uploads can use this role.", timeout=30_000)
        page.get_by_role("link", name="Upload an image").click()
        heading(page, "New upload")
        page.get_by_label("Project").fill(self.build["project"])
        page.get_by_label("Repository").fill(self.build["repository"])
        page.keyboard.press("Tab")
        expect(page.locator(f"#packages option[value='{self.name}']")).to_be_attached(timeout=15_000)
        page.get_by_label("Package").fill(self.name)
        page.keyboard.press("Tab")
        expect(page.locator(f"#filenames option[value='{FILE}']")).to_be_attached(timeout=15_000)
        page.get_by_text("Wishes:").click()
        page.get_by_label("Name of the AMI").fill(self.name)
        page.get_by_role("button", name="Upload").click()
        ami = page.get_by_role("link", name="in the EC2 console of")
        expect(ami).to_be_visible(timeout=AMI_TIMEOUT)
        log = page.get_by_role("region", name="Log")
        expect(log).to_contain_text(f"Created image: {ami.inner_text()}", timeout=30_000)
        self.assertEqual(visit.axe(axe_source()), [])
        page.get_by_role("link", name="Uploads").click()
        expect(page.get_by_role("list", name="Your uploads")).to_contain_text(FILE)

    def test_it_is_usable_without_a_click(self):
        """Prints how soon after its first byte, in visits that keep nothing from each other: 200 ms are wished for."""
        waited = []
        for _ in range(5):
            visit = self.begin_visit(local_user.page_url(os.environ))
            visit.page.add_init_script(WATCH)
            visit.page.goto(visit.url)
            expect(visit.page.get_by_label("Token")).to_be_focused()
            waited.append(visit.page.evaluate(WAITED))
        print(f"usable within {sorted(round(time) for time in waited)} ms of the first byte")

    def test_a_file_that_the_browser_has_is_not_sent_again(self):
        url = local_user.page_url(os.environ)
        with urllib.request.urlopen(url, timeout=30) as answer:
            etag = answer.headers["ETag"]
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(url, headers={"If-None-Match": etag}), timeout=30)
        self.assertEqual((refused.exception.code, refused.exception.headers["ETag"]), (304, etag))
        refused.exception.close()
