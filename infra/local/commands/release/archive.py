"""Archives whose bytes follow from their contents alone."""

import stat
import tarfile
import zipfile

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can tell."""

EXECUTABLE, READABLE = 0o755, 0o644


def write_zip(file, entries):
    """`entries` are (name, mode, bytes)."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, mode, data in sorted(entries):
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system = 3  # Unix, which has modes
            info.external_attr = (stat.S_IFREG | mode) << 16
            archive.writestr(info, data, zipfile.ZIP_DEFLATED)


def folder_entries(folder):
    """The files of a folder. Those that links lead to become files."""
    for path in folder.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(folder).as_posix(), READABLE, path.read_bytes()


def write_tar(file, folder):
    """The folder, under its own name. Nothing is compressed: the zips are."""

    def without_origin(info):
        info.uid = info.gid = info.mtime = 0
        info.uname = info.gname = ""
        info.mode = EXECUTABLE if info.isdir() or info.mode & stat.S_IXUSR else READABLE
        return info

    with tarfile.open(file, "w", format=tarfile.USTAR_FORMAT) as archive:
        archive.add(folder, folder.name, recursive=False, filter=without_origin)
        for path in sorted(folder.rglob("*")):
            archive.add(path, f"{folder.name}/{path.relative_to(folder)}", recursive=False, filter=without_origin)
