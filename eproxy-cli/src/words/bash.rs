//! Completion for bash.

use std::fmt::Write as _;

use super::flag::{Command, Flag, Kind, MADE, Value};

/// The file that bash reads.
pub(super) fn write(program: &Command) -> String {
    let mut text = format!("# Completion of eproxy for bash. {MADE}\n");
    text += HEAD;
    if !program.commands.is_empty() {
        let names: Vec<_> = program.commands.iter().map(|command| command.name.as_str()).collect();
        let taking: Vec<_> = with_value(program).flat_map(Flag::spellings).collect();
        let _ = write!(
            text,
            "    for ((at = 1; at < COMP_CWORD; at++)); do\n\
             \x20       case ${{COMP_WORDS[at]}} in\n\
             \x20           {}) at=$((at + 1)) ;;\n\
             \x20           {}) command=${{COMP_WORDS[at]}}; break ;;\n\
             \x20       esac\n\
             \x20   done\n",
            taking.join("|"),
            names.join("|"),
        );
    }
    text += "    case $command:$before in\n";
    for command in all(program) {
        for flag in with_value(command) {
            let Some(value) = &flag.value else { continue };
            let spellings: Vec<_> = flag.spellings().map(|it| format!("{}:{it}", command.name)).collect();
            let _ = writeln!(text, "        {}) {}; return ;;", spellings.join("|"), propose(value));
        }
    }
    text += "    esac\n    case $command in\n";
    for command in all(program) {
        let mut words: Vec<_> = command.flags.iter().flat_map(Flag::spellings).collect();
        words.extend(command.commands.iter().map(|below| below.name.as_str()));
        let name = if command.name.is_empty() { "''" } else { &command.name };
        let positional = command.positionals.first().map(|positional| propose(&positional.value));
        let _ = writeln!(text, "        {name})");
        if let Some(positional) = positional.filter(|it| it != NOTHING) {
            let _ = writeln!(text, "            [[ $word == -* ]] || {{ {positional}; return; }}");
        }
        let _ = writeln!(text, "            _eproxy_propose -W '{}' ;;", words.join(" "));
    }
    text + TAIL
}

fn all(program: &Command) -> impl Iterator<Item = &Command> {
    std::iter::once(program).chain(&program.commands)
}

fn with_value(command: &Command) -> impl Iterator<Item = &Flag> {
    command.flags.iter().filter(|flag| flag.value.is_some())
}

fn propose(value: &Value) -> String {
    match &value.kind {
        Kind::File => "compopt -o filenames 2>/dev/null; _eproxy_propose -f".into(),
        Kind::Words(words) => format!("_eproxy_propose -W '{}'", words.join(" ")),
        Kind::Anything => NOTHING.into(),
    }
}

const NOTHING: &str = ":";

const HEAD: &str = "
_eproxy_propose() {
    mapfile -t COMPREPLY < <(compgen \"$@\" -- \"${COMP_WORDS[COMP_CWORD]}\")
}

_eproxy() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command= at
    COMPREPLY=()
";

const TAIL: &str = "    esac
}

complete -F _eproxy eproxy
";
