//! The man page: what the flags say, and around it what no flag says.

use std::fmt::Write as _;

use super::flag::{Command, Flag, Kind, MADE, Positional};

/// The page in roff, with the macros of man(7).
pub(super) fn write(program: &Command) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut page = format!(".\\\" {MADE}\n.TH EPROXY 1 \"\" \"eproxy {version}\" \"User Commands\"\n");
    page += ".SH NAME\neproxy \\- an HTTP proxy\n.SH SYNOPSIS\n";
    synopsis(&mut page, program);
    for command in &program.commands {
        page += ".br\n";
        synopsis(&mut page, command);
    }
    let _ = writeln!(page, ".SH DESCRIPTION\n{}", text(&program.description));
    page += ".SH OPTIONS\n";
    options(&mut page, program);
    if !program.commands.is_empty() {
        page += ".SH COMMANDS\n";
        for command in &program.commands {
            let _ = writeln!(page, ".SS \"eproxy {}\"\n{}", text(&command.name), text(&command.description));
            options(&mut page, command);
        }
    }
    page + include_str!("man_tail.roff")
}

fn synopsis(page: &mut String, command: &Command) {
    page.push_str(".B eproxy");
    if !command.name.is_empty() {
        let _ = write!(page, " {}", text(&command.name));
    }
    page.push('\n');
    if !command.flags.is_empty() {
        page.push_str("[\\fIoptions\\fR]\n");
    }
    for positional in &command.positionals {
        page.push_str(&argument(positional));
        page.push('\n');
    }
}

/// `FILE`, `[FILE]`, `[FILE ...]`.
fn argument(positional: &Positional) -> String {
    let name = format!("\\fI{}\\fR", text(&positional.value.name));
    match (positional.is_required, positional.is_repeated) {
        (_, true) => format!("[{name} ...]"),
        (true, false) => name,
        (false, false) => format!("[{name}]"),
    }
}

fn options(page: &mut String, command: &Command) {
    for flag in &command.flags {
        let kind = flag.value.as_ref().map(|value| &value.kind);
        let _ = writeln!(page, ".TP\n{}\n{}", heading(flag), sentence(&flag.description, kind));
    }
    for positional in command.positionals.iter().filter(|positional| !positional.description.is_empty()) {
        let name = text(&positional.value.name);
        let _ = writeln!(page, ".TP\n.I {name}\n{}", sentence(&positional.description, None));
    }
}

/// `-h, --host HOST`, in bold and italics.
fn heading(flag: &Flag) -> String {
    let names: Vec<_> = flag.spellings().map(|name| format!("\\fB{}\\fR", text(name))).collect();
    let value = match &flag.value {
        None => String::new(),
        Some(value) => match &value.kind {
            Kind::Words(words) => format!(" \\fI{}\\fR", text(&words.join("|"))),
            Kind::File | Kind::Anything => format!(" \\fI{}\\fR", text(&value.name)),
        },
    };
    format!("{}{value}", names.join(", "))
}

/// A description begins small and has no full stop, as the help wants it; words that are to be written stay as they are.
fn sentence(description: &str, kind: Option<&Kind>) -> String {
    let mut letters = description.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    match kind {
        Some(Kind::Words(_)) => text(&format!("{description}.")),
        _ => text(&format!("{first}{}.", letters.as_str())),
    }
}

/// What roff would take for something else: a backslash, a dash, a quote or a full stop at the beginning of a line.
fn text(plain: &str) -> String {
    let escaped = plain.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    match escaped.starts_with(['.', '\'']) {
        true => format!("\\&{escaped}"),
        false => escaped,
    }
}
