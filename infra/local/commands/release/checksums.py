"""SHA256SUMS, as `sha256sum --check` reads it, and files that are named after their content."""

import hashlib

NAME = "SHA256SUMS"

HASH_LENGTH = 16
"""Characters of a SHA-256 in a file's name: enough to tell apart all versions there will be."""


def digest(file):
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def write(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != NAME)
    lines = [f"{digest(file)}  {file.relative_to(folder).as_posix()}\n" for file in files]
    (folder / NAME).write_text("".join(lines))


def named_by_content(file, stem, suffix):
    """Renames a file. CloudFormation updates a function when its key in S3 is another one, and only then."""
    named = file.with_name(f"{stem}-{digest(file)[:HASH_LENGTH]}{suffix}")
    file.rename(named)
    return named.name
