"""Makes the files of a release, from which an operator deploys with the AWS CLI alone.

    release [--architecture arm64|x86_64] [--functions DIR] [--tag TAG] [--out DIR]

Takes the built functions from DIR (target/lambda, where `make release` builds them; target/quick has those of
`make build`), and writes OUT/cloudupload-VERSION-ARCHITECTURE, a folder and a tar file of it:

    code/             the zips of the functions and the workflow's definition, each named after its own SHA-256
    template.yaml     infra/template.yaml, with the code taken from a bucket
    user-account.yaml, put-into-s3, DEPLOY.md, CHANGELOG.md, LICENSE
    NOTICES.txt       the licences of the crates in the functions
    sbom.cdx.json     those crates: a CycloneDX SBOM
    SHA256SUMS        of all other files

The same sources and functions give the same bytes. The version is that of Cargo.toml; with --tag, which the release
workflow gives, the tag has to be that version's, and CHANGELOG.md has to have it.
"""
