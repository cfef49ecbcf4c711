"""The cloud uploader on one machine: deployed by `sam deploy` into an emulated AWS, next to a stand-in for OBS.

    stack up [--dir DIR] [--port N] [--api-port N] [--obs-port N] [--faults-port N]
             [--import-seconds N] [--parameter NAME=VALUE]... [--sources DIR] [--functions DIR]
    stack down [--dir DIR] [--clean]
    stack tools NAME...

`up` takes the functions from target/quick (`make build`), starts what does not run yet, deploys what has changed since
the last time, and writes DIR/env for those who want to talk to it. With OBS_URL in the environment, build results come
from there, and no stand-in is started. With --faults-port, the functions reach AWS through a proxy that can be told to
fail. --sources deploys the template of another checkout, and --functions takes the functions from another folder.
`down` ends what `up` has started, and with --clean removes what was stored, too. `tools` installs the environments
named after infra/local/requirements-NAME.txt into target/tools.
"""
