"""The page at the root of the API, in a headless Chromium.

    page test                  tests it, at a stand-in for the service; with the settings of a stack, on that, too
    page screenshots [--write] takes the pictures of docs/, at the stand-in; without --write, into target/page
"""
