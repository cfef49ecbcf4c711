"""Images that DescribeImages does not show: disabled ones, and new ones for a while."""

from __future__ import annotations

import time

from harness import STRANGER, USER, Case, emulator, image_arguments, user
from test_ec2 import snapshot_of_a_volume


class ImageCase(Case):
    def setUp(self) -> None:
        super().setUp()
        self.name = f"image-{time.monotonic_ns()}"
        self.arguments = image_arguments(self.name, snapshot_of_a_volume())
        self.named = {"Owners": ["self"], "Filters": [{"Name": "name", "Values": [self.name]}]}

    def register(self) -> str:
        return self.ec2.register_image(**self.arguments)["ImageId"]

    def states(self, **asked: object) -> list[str]:
        return [image["State"] for image in self.ec2.describe_images(**asked)["Images"]]


class Disabled(ImageCase):
    def test_it_is_left_out_unless_asked_for(self) -> None:
        image = self.register()
        self.ec2.disable_image(ImageId=image)
        for asked in (self.named, {"ImageIds": [image]}):
            self.assertEqual(self.states(**asked), [])
            self.assertEqual(self.states(**asked, IncludeDisabled=False, IncludeDeprecated=True), [])
            self.assertEqual(self.states(**asked, IncludeDisabled=True), ["disabled"])
        available, disabled = ([{"Name": "state", "Values": [state]}] for state in ("available", "disabled"))
        asked = {"ImageIds": [image], "IncludeDisabled": True}
        self.assertEqual(self.states(**asked, Filters=available), [])
        self.assertEqual(self.states(**asked, Filters=disabled), ["disabled"])
        self.ec2.enable_image(ImageId=image)
        self.assertEqual(self.states(**self.named), ["available"])
        self.assertEqual(self.states(ImageIds=[image], Filters=available), ["available"])

    def test_it_is_found_by_its_snapshot(self) -> None:
        image, snapshot = self.register(), self.arguments["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
        for value, found in ((snapshot, [image]), ("snap-0123456789abcdef0", [])):
            made_of = [{"Name": "block-device-mapping.snapshot-id", "Values": [value]}]
            images = self.ec2.describe_images(Owners=["self"], Filters=made_of)["Images"]
            self.assertEqual([image["ImageId"] for image in images], found)

    def test_its_name_stays_taken(self) -> None:
        image = self.register()
        self.ec2.disable_image(ImageId=image)
        self.refused("InvalidAMIName.Duplicate", self.ec2.register_image, image, **self.arguments)
        self.ec2.deregister_image(ImageId=image)
        self.register()

    def test_it_is_not_shared_any_more(self) -> None:
        image, stranger = self.register(), emulator.client("ec2", STRANGER)
        share = {"Add": [{"UserId": STRANGER}]}
        self.ec2.modify_image_attribute(ImageId=image, LaunchPermission=share)
        self.assertEqual(len(stranger.describe_images(ImageIds=[image])["Images"]), 1)
        self.ec2.disable_image(ImageId=image)
        self.ec2.enable_image(ImageId=image)
        self.refused("InvalidAMIID.NotFound", stranger.describe_images, ImageIds=[image])

    def test_who_may(self) -> None:
        image = self.register()
        arn = f"arn:aws:ec2:us-east-1::image/{image}"
        for name in ("disable_image", "enable_image"):
            action = "ec2:" + "".join(word.capitalize() for word in name.split("_"))
            may = getattr(emulator.client("ec2", **user({"Action": action, "Resource": arn})), name)
            may_not = getattr(emulator.client("ec2", **user({"Action": "ec2:Describe*", "Resource": "*"})), name)
            self.refused("DryRunOperation", may, ImageId=image, DryRun=True)
            self.refused("UnauthorizedOperation", may_not, ImageId=image)
            may(ImageId=image)
            self.refused("InvalidAMIID.NotFound", getattr(self.ec2, name), ImageId="ami-0123456789abcdef0")
            self.refused("InvalidAMIID.NotFound", getattr(emulator.client("ec2", STRANGER), name), ImageId=image)


class New(ImageCase):
    def test_it_is_not_listed_yet_but_its_name_is_taken(self) -> None:
        self.with_settings(USER, new_images_unlisted_seconds=3600)
        image = self.register()
        self.assertEqual(self.states(**self.named), [])
        self.refused("InvalidAMIID.NotFound", self.ec2.describe_images, ImageIds=[image])
        self.refused("InvalidAMIName.Duplicate", self.ec2.register_image, image, **self.arguments)
        emulator.settings(USER)
        self.assertEqual(self.states(**self.named), ["available"])

    def test_it_is_listed_in_the_end(self) -> None:
        self.with_settings(USER, new_images_unlisted_seconds=1)
        began = time.monotonic()
        self.register()
        self.assertEqual(self.states(**self.named), [])
        while not self.states(**self.named):
            time.sleep(0.1)
        self.assertGreaterEqual(time.monotonic() - began, 1)
