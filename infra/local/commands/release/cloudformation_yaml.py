"""Templates of CloudFormation: its short forms (`!Ref`) are read as the long ones, which is all that is written.

What is written has no aliases, which CloudFormation does not take (CloudFormation user guide, "CloudFormation template
formats").
"""

import yaml


class Loader(yaml.SafeLoader):
    pass


class Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True


def function(loader, name, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if name == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


def text(dumper, data):
    """Texts of several lines stay as they are."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


Loader.add_multi_constructor("!", function)
Dumper.add_representer(str, text)
Dumper.add_multi_representer(dict, yaml.SafeDumper.represent_dict)


def parse(source):
    return yaml.load(source, Loader)


def dump(template):
    return yaml.dump(template, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)
