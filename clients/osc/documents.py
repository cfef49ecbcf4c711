"""What is generated from the commands: the man page, and completions for bash, fish and zsh."""

import argparse
import re
import shlex

from argparse_manpage.manpage import Manpage
from osc.commandline import OscMainCommand

from osc_cloudupload import commands

NAME = commands.CloudUploadCommand.name
SUMMARY = commands.CloudUploadCommand.__doc__.strip().splitlines()[0]


def all_of_them(version):
    """The texts by their places below /usr."""
    parser = command_parser()
    return {
        "share/man/man1/osc-cloudupload.1": man_page(parser, version),
        "share/osc-cloudupload/completion.bash": bash(parser),
        "share/fish/vendor_conf.d/osc-cloudupload.fish": fish(parser),
        "share/zsh/site-functions/_osc_cloudupload": zsh(parser),
    }


def command_parser():
    """The parser of `osc cloudupload`, as osc makes it."""
    main = OscMainCommand()
    main.argparse_manpage = True  # so that osc leaves the summary out of the description
    for command in commands.classes("osc.commands.cloudupload").values():
        main.load_command(command, "osc.commands")
    return main.command_classes["osc.commands.CloudUploadCommand"].parser


def subparsers(parser):
    """Each subcommand's name, what it does, and its parser."""
    (action,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return [(choice.dest, choice.help, action.choices[choice.dest]) for choice in action._choices_actions]


def options(parser):
    """The options that osc shows in a command's help: not those of osc itself."""
    return [action for action in parser._actions if action.option_strings and action.help != argparse.SUPPRESS]


def man_page(parser, version):
    parser.prog, parser.usage = "osc-cloudupload", f"osc {NAME} COMMAND [OPTION]... [ARGUMENT]..."
    for name, _, subcommand in subparsers(parser):
        arguments = [action for action in subcommand._actions if not action.option_strings]
        words = [f"[{action.metavar}]" if action.nargs else action.metavar for action in arguments]
        subcommand.usage = " ".join(["osc", NAME, name, "[OPTION]...", *words])
    about = {
        "project_name": "osc-cloudupload",
        "version": version,
        "manual_title": "osc",
        "description": SUMMARY,
    }
    return str(Manpage(parser, about, format="single-commands-section"))


BASH = """\
# Completion of `osc cloudupload`. All else is left to osc's own completion.
_osc_cloudupload() {
    local words=${COMP_WORDS[*]:1:COMP_CWORD-1} current=$2 previous=$3 helper
    case " $words " in
%(cases)s
    *)
        for helper in /usr/share/osc/complete /usr/lib64/osc/complete /usr/lib/osc/complete; do
            if [ -x "$helper" ]; then
                local IFS=$'\\n'
                COMPREPLY=($(export COMP_LINE COMP_POINT COMP_TYPE COMP_KEY; "$helper" "$1" "$2" "$3"))
                return
            fi
        done
        COMPREPLY=($(compgen -W %(name)s -- "$current")) ;;
    esac
}
complete -o default -F _osc_cloudupload osc
"""


def bash(parser):
    cases = []
    for name, _, subcommand in subparsers(parser):
        choices = [(action.option_strings[-1], action.choices) for action in options(subcommand) if action.choices]
        words = [option for action in options(subcommand) for option in action.option_strings]
        cases.append(case(f'*" {NAME} {name} "*', [*choices, ("*", words)]))
    cases.append(case(f'*" {NAME} "*', [("*", [name for name, _, _ in subparsers(parser)])]))
    return BASH % {"cases": "\n".join(cases), "name": NAME}


def case(pattern, replies):
    lines = [f"    {pattern})", '        case "$previous" in']
    for condition, words in replies:
        lines.append(f'        {condition}) COMPREPLY=($(compgen -W {shlex.quote(" ".join(words))} -- "$current")) ;;')
    return "\n".join([*lines, "        esac ;;"])


def fish(parser):
    lines = [f"complete -c osc -n __fish_use_subcommand -a {NAME} -d {quoted(SUMMARY)}"]
    names = [name for name, _, _ in subparsers(parser)]
    seen = f"__fish_seen_subcommand_from {NAME}"
    for name, summary, subcommand in subparsers(parser):
        lines.append(
            f"complete -c osc -f -n {quoted(f'{seen}; and not __fish_seen_subcommand_from {chr(32).join(names)}')} "
            f"-a {name} -d {quoted(summary)}"
        )
        for action in options(subcommand):
            flags = "".join(
                f" -l {flag[2:]}" if flag.startswith("--") else f" -s {flag[1:]}" for flag in action.option_strings
            )
            values = (
                f" -x -a {quoted(' '.join(action.choices))}" if action.choices else " -r" if action.nargs != 0 else ""
            )
            condition = quoted(f"{seen}; and __fish_seen_subcommand_from {name}")
            lines.append(f"complete -c osc -f -n {condition}{flags}{values} -d {quoted(action.help)}")
    return "\n".join([*lines, ""])


def quoted(text):
    """Text as one word of fish."""
    text = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


ZSH = """\
#compdef osc
# Completion of `osc cloudupload`. All else is left to another completion of osc, such as zsh's own.

_osc_cloudupload() {
    local -i at=${words[(i)%(name)s]} found=1
    local -a cloudupload=(%(summary)s) commands=(
%(commands)s
    )
    if (( at >= CURRENT )); then
        (( $+functions[_osc] )) && _osc "$@" && found=0
        (( CURRENT == 2 )) && _describe -t plugins 'osc plugin' cloudupload && found=0
        return found
    fi
    shift $at words
    (( CURRENT -= at ))
    if (( CURRENT == 1 )); then
        _describe -t commands 'osc cloudupload command' commands
        return
    fi
    case $words[1] in
%(cases)s
    esac
}

_osc_cloudupload "$@"
"""


def zsh(parser):
    described, cases = [], []
    for name, summary, subcommand in subparsers(parser):
        described.append(f"        {zsh_pair(name, summary)}")
        specs = [spec for action in options(subcommand) for spec in zsh_option(action)]
        specs += [zsh_argument(action) for action in subcommand._actions if not action.option_strings]
        lines = "".join(f" \\\n            {shlex.quote(spec)}" for spec in specs)
        cases.append(f"    {name})\n        _arguments -s{lines} ;;")
    parts = {"commands": "\n".join(described), "cases": "\n".join(cases), "summary": zsh_pair(NAME, SUMMARY)}
    return ZSH % {**parts, "name": NAME}


def zsh_pair(name, summary):
    """A word and what it means, for _describe."""
    return shlex.quote(f"{name}:{summary}")


def zsh_option(action):
    """An option, for _arguments: a spec for each of its flags."""
    help_text = re.sub(r"([\\\[\]:])", r"\\\1", action.help)
    flags, value = action.option_strings, ""
    # Once, unless it may be given any number of times.
    times = "*" if isinstance(action, argparse._AppendAction) else f"({' '.join(flags)})"
    if action.nargs != 0:
        flags = [f"{flag}=" if flag.startswith("--") else f"{flag}+" for flag in flags]
        value = f":{action.metavar or action.dest}:" + (f"({' '.join(action.choices)})" if action.choices else "")
    return [f"{times}{flag}[{help_text}]{value}" for flag in flags]


def zsh_argument(action):
    """What is no option, and is not completed."""
    times = {"*": "*:", "?": "::"}.get(action.nargs, ":")
    return f"{times}{action.metavar.partition(' ')[0]}: "
