"""Builds the man page and the completions into the wheel, from the commands themselves."""

import shutil
import sys
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Documents(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def initialize(self, version, build_data):
        if self.target_name != "wheel" or version == "editable":
            return
        sys.path.insert(0, self.root)
        import documents

        self.folder = Path(tempfile.mkdtemp())
        for place, text in documents.all_of_them(self.metadata.version).items():
            file = self.folder / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            build_data["shared_data"][str(file)] = place

    def finalize(self, version, build_data, artifact_path):
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)
