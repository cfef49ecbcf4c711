"""What tests can ask of the emulator for an account."""

from __future__ import annotations

from harness import Case, emulator

ACCOUNT = "121212121212"
NOTHING = {
    "new_images_unlisted_seconds": 0,
    "new_roles_unknown_seconds": 0,
    "sts_inactive_regions": [],
    "disabled_regions": [],
    "new_snapshots_unlisted_seconds": 0,
    "snapshot_pending_seconds": 0.3,
    "snapshot_copy_seconds": 1,
    "snapshot_copies": 20,
    "snapshot_timeout_minute_seconds": 60,
    "pending_snapshots": 100,
    "start_snapshot_per_second": 10,
    "complete_snapshot_per_second": 10,
    "put_snapshot_block_per_second": 1000,
    "get_snapshot_block_per_second": 1000,
    "list_snapshot_blocks_per_second": 50,
}


class Settings(Case):
    def test_they_are_replaced_as_a_whole(self) -> None:
        self.assertEqual(emulator.settings(ACCOUNT, "GET"), (200, NOTHING))
        expected = {**NOTHING, "new_images_unlisted_seconds": 1.5, "disabled_regions": ["eu-south-1"]}
        given = emulator.settings(ACCOUNT, new_images_unlisted_seconds=1.5, disabled_regions=["eu-south-1"])
        self.assertEqual(given, (200, expected))
        self.assertEqual(emulator.settings(ACCOUNT, "GET"), (200, expected))
        self.assertEqual(emulator.settings("343434343434", "GET"), (200, NOTHING))
        self.assertEqual(emulator.settings(ACCOUNT), (200, NOTHING))

    def test_what_is_refused(self) -> None:
        for settings, text in (
            ({"no_such": 1}, "unknown: no_such; known: new_images_unlisted_seconds, "),
            ({"new_roles_unknown_seconds": -1}, "number of seconds"),
            ({"new_roles_unknown_seconds": True}, "number of seconds"),
            ({"new_roles_unknown_seconds": "60"}, "number of seconds"),
            ({"disabled_regions": "eu-south-1"}, "list of regions"),
        ):
            status, body = emulator.settings(ACCOUNT, **settings)
            self.assertEqual(status, 400)
            self.assertIn(text, body["message"])
        self.assertEqual(emulator.settings(ACCOUNT, "DELETE")[0], 405)
        self.assertEqual(emulator.settings(ACCOUNT, "GET"), (200, NOTHING))
