"""Tries the cloud uploader on AWS, in two accounts, and removes everything that it made.

    acceptance --service-profile P --user-profile Q --region R [--user-region R] [--encrypted-region R]
    acceptance --local
    acceptance --remove-only NAME …

The first form needs two profiles of the AWS CLI, of administrators of two accounts: the uploader goes into one, the
other is that of a user of OBS. It costs less than a dollar, which it checks before it begins and while it runs;
docs/acceptance.md tells what it does and what it costs. The second form does the same on this machine, on an emulated
AWS, and its report says "emulator" at every line. The third removes what a run left that died.

The release that is deployed is the one that `make release` made, unless --release names a folder.
"""
