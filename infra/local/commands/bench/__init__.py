"""How small, fast and frugal the functions are: numbers from one run, as ratios where a bare number says little.

    bench [--dir DIR] [--port N] [--api-port N] [--obs-port N] [--write]

Started by `make bench`, which builds first. Takes about six minutes (the first time ten, to make the images), 8 GB of
memory and 12 GB of disk, of which 2 GB stay below DIR: the images. Ends with 1 if a limit is exceeded. --write puts the
numbers into docs/performance.md. Needs xz and what make-disk needs; other load on the machine spoils the times.
"""
