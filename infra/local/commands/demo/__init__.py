"""The way of one image, on the local stack, from an OBS build result to an AMI, with its bytes compared at the end.

    demo

Started by `make demo`, or by hand once `make up` has run. Unless CLOUDUPLOAD_URL is set, it takes its settings from
target/local/env, which `make up` wrote.
"""
