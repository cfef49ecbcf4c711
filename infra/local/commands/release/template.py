"""The template of a release: infra/template.yaml, but with the code in a bucket instead of in a checkout."""

import copy

BUCKET, PREFIX = "CodeBucket", "CodePrefix"

PARAMETERS = {
    BUCKET: {
        "Type": "String",
        "AllowedPattern": "[a-z0-9.-]{3,63}",
        "ConstraintDescription": "must be the name of a bucket",
        "Description": "The bucket, in the region of this stack, that put-into-s3 has put the release's code into.",
    },
    # Without a default: the emulator lets the SAM transform resolve parameters with their defaults, whatever their values
    # are, in the code of functions that have an AutoPublishAlias.
    PREFIX: {
        "Type": "String",
        "AllowedPattern": "[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*",
        "ConstraintDescription": "must be a part of a key, without a slash at its ends",
        "Description": "The folder in that bucket: cloudupload, unless put-into-s3 was told another.",
    },
}

BUILD_METADATA = ("BuildMethod", "BuildProperties", "SkipBuild")
"""What `sam build` reads. There is nothing left to build."""


def functions(template):
    return of_type(template, "AWS::Serverless::Function")


def state_machines(template):
    return of_type(template, "AWS::Serverless::StateMachine")


def of_type(template, kind):
    return {name: resource for name, resource in template["Resources"].items() if resource["Type"] == kind}


def released(template, code, architecture):
    """`code` maps the functions and state machines, by their logical ids, to the files of their code."""
    template = copy.deepcopy(template)
    template["Parameters"] = {**PARAMETERS, **template["Parameters"]}
    template["Parameters"]["Architecture"] |= {
        "Default": architecture,
        "AllowedValues": [architecture],
        "Description": "The processor architecture of the functions in this release.",
    }
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    groups.insert(0, {"Label": {"default": "Code"}, "Parameters": list(PARAMETERS)})
    del template["Globals"]["Function"]["CodeUri"]
    for name, resource in functions(template).items():
        resource["Properties"]["CodeUri"] = place_of(code[name])
        for key in BUILD_METADATA:
            resource["Metadata"].pop(key, None)
    for name, resource in state_machines(template).items():
        resource["Properties"]["DefinitionUri"] = place_of(code[name])
    return template


def place_of(file):
    return {"Bucket": {"Ref": BUCKET}, "Key": {"Fn::Sub": f"${{{PREFIX}}}/{file}"}}
