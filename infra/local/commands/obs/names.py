"""The names that OBS takes for a build result."""

import re

from obs.refusal import Refusal


def check_names(project, repository, arch, package, file=None):
    """Refuses what OBS refuses as a name (verify_projid() and its neighbours in BSVerify.pm)."""

    def check(kind, name, legal):
        if not name:
            raise Refusal(f"{kind} is empty")
        if re.search(r"[/\x00-\x1f]", name) or not legal:
            raise Refusal(f"{kind} '{name}' is illegal")

    check("projid", project, not re.search(r":[_.:]", f":{project}:"))
    check("repoid", repository, not re.search(r"^[_.]|:", repository))
    check("arch", arch, re.fullmatch(r"[-+=,0-9{}@#%A-Z_a-z~]+", arch))
    special = package in ("_product", "_pattern", "_project", "_patchinfo", "_repository")
    check("packid", package, special or re.fullmatch(r"(_product:|_patchinfo:)?[^_.:][^:]*(:[^_.:][^:]*)?", package))
    if file is not None:
        check("filename", file, not file.startswith("."))
