"""Tells what is missing."""

SYSTEMS = {
    "debian": ("Debian, Ubuntu", "apt install"),
    "fedora": ("Fedora", "dnf install"),
    "opensuse": ("openSUSE", "zypper install"),
}


def report(commands, missing):
    """One sentence, and below it how each system installs what has packages; then the commands for the rest."""
    names = [need.what for need in missing]
    listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    verb = "need" if len(commands) > 1 else "needs"
    lines = [f"{', '.join(commands)} {verb} {listed}, which this machine lacks. To install:"]
    packaged = [need.packages for need in missing if need.packages]
    if packaged:
        for field, (system, install) in SYSTEMS.items():
            words = " ".join(getattr(packages, field) for packages in packaged).split()
            if words:
                lines.append(f"    {system + ':':<16} {install} {' '.join(dict.fromkeys(words))}")
    lines += [f"    {need.command}" for need in missing if need.command]
    return "\n".join(lines)
