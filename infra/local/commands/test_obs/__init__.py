"""Both doors of the cloud uploader, with the source server of OBS 2.9.4 and nginx as docs/nginx.conf describes it.

    test-obs [--dir DIR] [--port N]

A local stack of its own, on ports of its own; the stand-in for OBS is the source server's repository server. What the
source server and nginx write is below DIR, and neither is a service of this machine. It creates jobs by the frontend's
door (nginx in front of the source server) and by the source server's own ($BSConfig::clouduploadserver), lists, reads
and kills them by both, and compares the answers with those of OBS's own cloud upload server.
"""
