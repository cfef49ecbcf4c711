"""How small, fast and frugal the functions are: numbers from one run, as ratios where a bare number says little.

    bench [--dir DIR] [--port N] [--api-port N] [--obs-port N] [--faults-port N] [--sink-port N]
          [--server-port N] [--relay-port N] [--only uploads|blocks|jobs|terabytes|obs|push]... [--write]

Started by `make bench`, which builds first. Takes about 40 minutes on two cores (the first time an hour and a half: it
builds the functions as they are deployed, installs coldsnap, and makes the images), 8 GB of memory and 40 GB of disk,
of which 15 GB stay below DIR: the images. Ends with 1 if a limit is exceeded. --only takes a part of the measurements:

    uploads    the api, and jobs by the route import: size, speed, memory, slots
    blocks     transfer by itself, next to xz and coldsnap; control groups for slices side by side, as root
    jobs       whole jobs by each route: time by state, calls and what they cost
    terabytes  a sparse disk of 2 TiB through transfer. Takes an hour, and is not measured unless named
    obs        the api next to OBS's own server, which has to be installed (Debian's obs-server). Not measured unless
               named, or with --write where that server is
    push       osc and the relay, which push an image, next to curl, which has to be installed. Not measured unless named

--write puts the numbers into docs/performance.md. Needs xz and what make-disk needs; other load on the machine spoils
the times.
"""
