"""Deploys a release on this machine, from its files only and with the AWS CLI alone.

    try-release [RELEASE] [--dir DIR] [--port N] [--api-port N] [--obs-port N]

Unpacks RELEASE (a tar file that `release` wrote; target/release-files has them) into an empty folder, starts the
emulated AWS and the stand-in for OBS, and follows the release's DEPLOY.md there: a bucket, `put-into-s3`, `aws
cloudformation deploy`; and a user's stack from the release's user-account.yaml. Then the API has to refuse who has no
secret, not to know a job that is not there, and to bring an image to an AMI. A release with one byte changed must not
get into S3. Ends all that it started.
"""
