//! Completion for zsh.

use std::fmt::Write as _;

use super::flag::{Command, Flag, Kind, MADE, Value, short};

/// The file that zsh looks for in its `fpath`.
pub(super) fn write(program: &Command) -> String {
    let mut text = format!("#compdef eproxy\n# Completion of eproxy for zsh. {MADE}\n\n_eproxy() {{\n");
    if program.commands.is_empty() {
        arguments(&mut text, program, 4, &[]);
        return text + "}\n\n_eproxy \"$@\"\n";
    }
    text += "    local curcontext=$curcontext state line\n    typeset -A opt_args\n";
    arguments(&mut text, program, 4, &["'1: :->command'", "'*:: :->argument'"]);
    text += "    case $state in\n        command)\n            local -a commands=(\n";
    for command in &program.commands {
        let _ = writeln!(text, "                '{}:{}'", command.name, quoted(&command.description));
    }
    text += "            )\n            _describe command commands ;;\n        argument)\n";
    text += "            case $words[1] in\n";
    for command in &program.commands {
        let _ = writeln!(text, "                {})", command.name);
        arguments(&mut text, command, 20, &[]);
        text += "                    ;;\n";
    }
    text + "            esac ;;\n    esac\n}\n\n_eproxy \"$@\"\n"
}

/// A call of `_arguments`.
fn arguments(text: &mut String, command: &Command, indent: usize, more: &[&str]) {
    let mut specs: Vec<_> = command.flags.iter().flat_map(specs).collect();
    if more.is_empty() {
        specs.extend(command.positionals.iter().map(|positional| {
            let which = if positional.is_repeated { "*" } else { "" };
            let optional = if positional.is_required || positional.is_repeated { "" } else { ":" };
            format!("'{which}{optional}:{}'", action(&positional.value).trim_start_matches(':'))
        }));
    }
    specs.extend(more.iter().map(|spec| (*spec).to_owned()));
    let space = " ".repeat(indent);
    let flag = if more.is_empty() { "" } else { " -C" };
    let _ = write!(text, "{space}_arguments{flag}");
    for spec in specs {
        let _ = write!(text, " \\\n{space}    {spec}");
    }
    text.push('\n');
}

fn specs(flag: &Flag) -> Vec<String> {
    let many = if flag.is_repeated { "*" } else { "" };
    let value = flag.value.as_ref().map(action).unwrap_or_default();
    let description = quoted(short(&flag.description));
    flag.spellings().map(|name| format!("'{many}{name}[{description}]{value}'")).collect()
}

fn action(value: &Value) -> String {
    let name = value.name.to_lowercase();
    match &value.kind {
        Kind::File => format!(":{name}:_files"),
        Kind::Words(words) => format!(":{name}:({})", words.join(" ")),
        Kind::Anything => format!(":{name}: "),
    }
}

/// For a description between brackets and quotes.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for c in text.chars() {
        match c {
            '\'' => quoted.push_str("'\\''"),
            '[' | ']' | ':' | '\\' => quoted.extend(['\\', c]),
            c => quoted.push(c),
        }
    }
    quoted
}
