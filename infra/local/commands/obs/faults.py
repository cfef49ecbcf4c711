"""The faults that lie beside a build result."""

import json
import os
import threading

from obs.refusal import Refusal

FAULTS_SUFFIX = ".faults.json"


class Faults:
    """Hands out the entries of the sidecars, each once."""

    def __init__(self):
        self.lock = threading.Lock()
        self.taken = {}

    def next(self, file):
        sidecar = file + FAULTS_SUFFIX
        with self.lock:
            try:
                with open(sidecar, encoding="utf-8") as lines:
                    entries = json.load(lines)
                version = os.stat(sidecar).st_mtime_ns
            except FileNotFoundError:
                return {}
            except ValueError as error:
                raise Refusal(f"500 {os.path.basename(sidecar)}: {error}") from error
            known, taken = self.taken.get(sidecar, (version, 0))
            taken = taken if known == version else 0
            self.taken[sidecar] = (version, taken + 1)
            return entries[taken] if taken < len(entries) else {}
