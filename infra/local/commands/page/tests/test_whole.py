"""What holds for the page as a whole."""

from playwright.sync_api import expect

from page.browser import DESKTOP, PHONE, axe_source
from page.service import ROLE, files
from page.tests.visit import PageTest, heading, sign_in

MOST_BYTES = 60 * 1024
LEAST_TARGET = 20
"""Pixels, less than the 24 of WCAG 2.2, 2.5.8, "Target Size (Minimum)", which counts the space around, too."""

OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
VIEWS = {
    "#/jobs": ("Uploads", "3: leap-ec2"),
    "#/jobs/1": ("Upload 1", "Created image"),
    "#/upload": ("New upload", "Which image of OBS"),
    "#/tokens": ("Your tokens", "used here"),
    "#/role": ("Your role", "Uploads can use this role"),
}
"""The heading of each view, and what is there once it is complete."""



class WholeTest(PageTest):
    def setUp(self):
        super().setUp()
        self.service.connect()
        self.service.add_job("succeeded", details="ami-0123456789abcdef0", ami="ami-0123456789abcdef0")
        self.service.write(1, "Created image: ami-0123456789abcdef0\n" * 40)
        self.service.add_job("uploading", details="uploading image", progress=40)
        self.service.add_job("failed", details="ec2:RegisterImage: UnauthorizedOperation " + "x" * 200)

    def test_it_is_small(self):
        self.assertLessEqual(sum(len(content) for _, content in files().values()), MOST_BYTES)

    def each_view(self, viewport, scheme):
        """Signed in, in each view with all that it may show."""
        visit = self.visit(self.service.url, viewport=viewport, color_scheme=scheme)
        page = visit.page
        yield "sign in", visit
        sign_in(page, "wrong")
        expect(page.get_by_role("alert")).to_be_visible()
        yield "wrong token", visit
        sign_in(page)
        for address, (title, complete) in VIEWS.items():
            page.goto(self.service.url + address)
            heading(page, title)
            expect(page.get_by_role("main")).to_contain_text(complete)
            if address == "#/upload":
                page.get_by_text("Wishes:").click()
            yield address, visit
        page.get_by_role("button", name="Disconnect the role").click()
        yield "question", visit

    def test_axe_finds_nothing(self):
        source = axe_source()
        for viewport, scheme in ((DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light")):
            for view, visit in self.each_view(viewport, scheme):
                with self.subTest(view, viewport=viewport, scheme=scheme):
                    self.assertEqual(visit.axe(source), [])

    def test_it_fits_on_a_phone(self):
        for view, visit in self.each_view(PHONE, "light"):
            with self.subTest(view):
                self.assertLessEqual(visit.page.evaluate(OVERFLOW), 0)
                for control in visit.page.locator("button, .button, nav a, select, input").all():
                    if control.is_visible():
                        self.assertGreaterEqual(min(control.bounding_box()[side] for side in ("width", "height")), LEAST_TARGET)

    def test_it_is_dark_where_the_system_is(self):
        background = "() => getComputedStyle(document.body).backgroundColor"
        colours = [self.open(color_scheme=scheme).evaluate(background) for scheme in ("light", "dark")]
        self.assertEqual(colours, ["rgb(255, 255, 255)", "rgb(20, 24, 26)"])

    def test_all_of_it_works_by_keyboard(self):
        self.service.role = None
        page = self.open()
        keys = page.keyboard

        def tab_to(control):
            for _ in range(40):
                if control.evaluate("(element) => element === document.activeElement"):
                    # What has the focus is seen to have it.
                    self.assertNotEqual(control.evaluate("(element) => getComputedStyle(element).outlineStyle"), "none")
                    return
                keys.press("Tab")
            self.fail(f"{control} is not reached by the tabulator key")

        keys.type("cloudup_wrong")
        keys.press("Enter")
        expect(page.get_by_role("alert")).to_be_visible()
        keys.press("Control+a")
        keys.type(f"cloudup_tom_{'0123456789abcdef' * 4}")
        keys.press("Enter")
        heading(page, "Your role")
        tab_to(page.get_by_label("The role's ARN"))
        keys.type(ROLE)
        keys.press("Tab")
        keys.type("eu-central-1")
        tab_to(page.get_by_role("button", name="Try and connect the role"))
        keys.press("Space")
        expect(page.get_by_role("heading", name="Connected role")).to_be_focused()
        tab_to(page.get_by_role("link", name="Upload an image"))
        keys.press("Enter")
        heading(page, "New upload")
        for label, text in [("Project", "Cloud:Images"), ("Repository", "images"), ("Package", "leap-ec2")]:
            tab_to(page.get_by_label(label))
            keys.type(text)
        tab_to(page.get_by_text("Wishes:"))
        keys.press("Enter")
        tab_to(page.get_by_label("Encrypt the snapshot"))
        keys.press("Space")
        tab_to(page.get_by_role("button", name="Upload"))
        keys.press("Enter")
        heading(page, "Upload 4")
        self.assertEqual(self.service.jobs[4]["wishes"], {"encrypted": True})
        tab_to(page.get_by_role("button", name="Abort the upload"))
        keys.press("Enter")
        tab_to(page.get_by_role("button", name="Abort it"))
        keys.press("Enter")
        heading(page, "Upload 4")
        expect(page.locator("[data-details]")).to_have_text("killed")
        tab_to(page.get_by_role("region", name="Log"))

    def test_the_first_key_leads_past_the_menu(self):
        page = self.signed_in()
        heading(page, "Uploads")
        # Back past what is before the heading: the button, and four links.
        for _ in range(6):
            page.keyboard.press("Shift+Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("main")).to_be_focused()
        expect(page.get_by_role("heading", level=1)).to_have_text("Uploads")
