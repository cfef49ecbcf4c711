"""Pictures of the page for docs/."""

from playwright.sync_api import expect

from page.browser import PHONE, Browser
from page.service import Service
from page.tests.visit import sign_in

WINDOW = {"width": 880, "height": 640}
NOW = 1_795_788_000
"""The time in the pictures, so that they change only with the page."""

AMI = "ami-0b2b7f4182cca22ac"
LOG = f"""\
Route direct: the role allows it, and it is the fastest
Receiving leap-ec2.x86_64-15.6.raw.xz, 530250884 bytes
Start uploading image leap-ec2.x86_64-15.6.raw.xz.
Successfully authenticated.
xz data in 2 slices; GPT, 3 partitions, with an EFI system partition, with BIOS boot code
Transferred 69% (350 of 506 MiB, 64.2 MiB/s, retries: 0)
"""


def take(folder):
    """Each view in light, one in dark, and two on a phone."""
    service = Service()
    with Browser() as browser:
        fill(service)
        for name, address, complete, settings in (
            ("guide", "#/role", "999999999999", {"role": False}),
            ("jobs", "#/jobs", AMI, {}),
            ("job-dark", "#/jobs/3", "Transferred 69%", {"color_scheme": "dark"}),
            ("upload-phone", "#/upload", "Which image of OBS", {"viewport": PHONE}),
            ("job-phone-dark", "#/jobs/3", "Transferred 69%", {"viewport": PHONE, "color_scheme": "dark"}),
        ):
            role = settings.pop("role", True)
            service.role = None
            if role:
                service.connect()
            visit = browser.visit(service.url, **{"viewport": WINDOW, "color_scheme": "light", **settings})
            page = visit.page
            page.clock.set_fixed_time(NOW * 1000)
            page.goto(service.url + address)
            sign_in(page)
            expect(page.get_by_text(complete)).to_be_visible()
            page.screenshot(path=folder / f"{name}.png", full_page=name == "guide", animations="disabled")
            visit.close()
            print(f"{name}.png")
    service.shutdown()
    service.server_close()


def fill(service):
    arm = {"package": "leap-arm", "arch": "aarch64", "filename": "leap-arm.aarch64-15.6.raw.xz"}
    minimal = {"package": "leap-minimal", "filename": "leap-minimal.x86_64-15.6.raw.xz"}
    refused = "the role may not write snapshots: add ebs:StartSnapshot to its policy"
    service.add_job("succeeded", created=NOW - 90_000, details=AMI, ami=AMI)
    service.add_job("failed", created=NOW - 7_200, details=refused, **arm)
    service.add_job("uploading", created=NOW - 40, details="uploading image", progress=69)
    service.add_job("scheduled", created=NOW - 5, details="waiting for a slot", **minimal)
    service.write(3, LOG)
