"""The licences of the crates in the functions: most demand that their text goes with the binaries."""

from pathlib import Path

PATTERNS = ("LICEN[CS]E*", "COPYING*", "COPYRIGHT*", "NOTICE*", "UNLICENSE*")


def texts(folder):
    for path in sorted({path for pattern in PATTERNS for path in folder.glob(pattern)}):
        if path.is_file():
            yield path.read_text(errors="replace").strip()


def notices(packages):
    """A list of the crates that others made, and each different text once, below the crates that have it."""
    theirs = sorted((package for package in packages if package["source"]), key=label)
    crates_of = {}
    for package in theirs:
        for text in texts(Path(package["manifest_path"]).parent):
            crates_of.setdefault(text, []).append(label(package))
    lines = ["The functions contain these crates:", ""]
    lines += [f"    {label(package)}: {package['license'] or 'see its text'}" for package in theirs]
    for text, crates in crates_of.items():
        lines += ["", "=" * 80, ", ".join(dict.fromkeys(crates)), "", text]
    return "\n".join(lines) + "\n"


def label(package):
    return f"{package['name']} {package['version']}"
