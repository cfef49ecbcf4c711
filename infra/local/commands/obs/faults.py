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

    def next(self, file, first_byte):
        """The entry for a GET of `file` from this byte on."""
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
            known, taken = self.taken.get(sidecar, (version, set()))
            if known != version:
                taken = set()
            self.taken[sidecar] = (version, taken)
            for number, entry in enumerate(entries):
                if number not in taken and entry.get("from", first_byte) == first_byte:
                    taken.add(number)
                    return entry
            return {}
