//! Completion for fish.

use std::fmt::Write as _;

use super::flag::{Command, Flag, Kind, MADE, Value, short};

/// The file that fish looks for among its completions.
pub(super) fn write(program: &Command) -> String {
    let mut text = format!("# Completion of eproxy for fish. {MADE}\n\ncomplete -c eproxy -f\n");
    let names: Vec<_> = program.commands.iter().map(|command| command.name.as_str()).collect();
    let names = names.join(" ");
    let when = match names.is_empty() {
        true => String::new(),
        false => format!(" -n 'not __fish_seen_subcommand_from {names}'"),
    };
    command(&mut text, program, &when);
    for below in &program.commands {
        let _ = writeln!(
            text,
            "complete -c eproxy{when} -a {} -d '{}'",
            below.name,
            quoted(short(&below.description))
        );
    }
    for below in &program.commands {
        text.push('\n');
        command(&mut text, below, &format!(" -n '__fish_seen_subcommand_from {}'", below.name));
    }
    text
}

fn command(text: &mut String, command: &Command, when: &str) {
    for flag in &command.flags {
        let _ = writeln!(
            text,
            "complete -c eproxy{when}{} -d '{}'",
            name(flag),
            quoted(short(&flag.description))
        );
    }
    for positional in &command.positionals {
        match &positional.value.kind {
            Kind::File => text.extend(["complete -c eproxy", when, " -F\n"]),
            Kind::Words(words) => {
                let _ = writeln!(text, "complete -c eproxy{when} -a '{}'", words.join(" "));
            }
            Kind::Anything => {}
        }
    }
}

fn name(flag: &Flag) -> String {
    let short = flag.short.as_deref().map(|short| format!(" -s {}", &short[1..])).unwrap_or_default();
    let value = flag.value.as_ref().map(action).unwrap_or_default();
    format!("{short} -l {}{value}", flag.long.trim_start_matches('-'))
}

/// `-x` is a value that is no file, `-r -F` one that is.
fn action(value: &Value) -> String {
    match &value.kind {
        Kind::File => " -r -F".into(),
        Kind::Words(words) => format!(" -x -a '{}'", words.join(" ")),
        Kind::Anything => " -x".into(),
    }
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}
