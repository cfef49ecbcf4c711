"""Makes a disk image as kiwi makes them for OBS: partitions, file systems, real files, xz in many blocks.

    make-disk FILE.raw.xz [--size-mib N] [--content-mib N] [--seed S] [--preset N] [--raw FILE.raw]

    first sector  boot code for a BIOS, which prints a line and halts
    partition 1   BIOS boot, empty
    partition 2   EFI system partition, FAT16: EFI/BOOT/BOOTX64.EFI, which prints the same line and returns
    partition 3   root, ext4: programs, libraries and data copied from this machine (never /etc, /home or the like)

The table is a GPT with its backup. Compression is that of kiwi (`xz --threads=0`: blocks with their sizes in the
headers, 24 MiB of disk in each) but for the preset: without --preset, it is the fastest, so that a disk of more than
1 GiB is ready soon.
--raw keeps the disk as it was before compression; that file is sparse.

A disk that is there already is kept as long as size, content, seed, preset and this package are the same.
Needs mkfs.ext4 and fsck.ext4 (e2fsprogs) and xz; neither root, mounts nor loop devices.
"""
