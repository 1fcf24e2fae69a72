//! The flags and sub-commands as argh tells them, and what can be made of their descriptions: which values are files, and
//! which are words from a list.

use argh::{ArgsInfo, CommandInfoWithArgs, FlagInfoKind, Optionality};

/// A command: the program itself, or a sub-command.
pub(super) struct Command {
    /// Empty for the program itself.
    pub(super) name: String,
    pub(super) description: String,
    pub(super) flags: Vec<Flag>,
    pub(super) positionals: Vec<Positional>,
    pub(super) commands: Vec<Self>,
}

/// A flag with its dashes: `--port`.
pub(super) struct Flag {
    pub(super) long: String,
    /// With its dash, if there is one.
    pub(super) short: Option<String>,
    pub(super) description: String,
    pub(super) is_repeated: bool,
    /// None for a switch.
    pub(super) value: Option<Value>,
}

/// What stands behind a flag, or by itself.
pub(super) struct Value {
    /// What it is called: `FILE`.
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// What can be proposed.
pub(super) enum Kind {
    File,
    Words(Vec<String>),
    Anything,
}

/// An argument without a flag.
pub(super) struct Positional {
    pub(super) value: Value,
    pub(super) description: String,
    pub(super) is_required: bool,
    pub(super) is_repeated: bool,
}

impl Flag {
    /// Both ways to write it.
    pub(super) fn spellings(&self) -> impl Iterator<Item = &str> {
        self.short.as_deref().into_iter().chain([self.long.as_str()])
    }
}

impl Command {
    /// The program, with everything below it.
    pub(super) fn of<T: ArgsInfo>() -> Self {
        Self { name: String::new(), ..Self::new(&T::get_args_info()) }
    }

    fn new(info: &CommandInfoWithArgs) -> Self {
        let flags = info.flags.iter().filter(|flag| !flag.hidden).map(|flag| {
            let description = one_line(flag.description);
            let value = match flag.kind {
                FlagInfoKind::Switch => None,
                FlagInfoKind::Option { arg_name } => Some(value(arg_name, &description)),
            };
            let is_repeated = matches!(flag.optionality, Optionality::Repeating | Optionality::Greedy);
            let short = flag.short.map(|short| format!("-{short}"));
            Flag { long: flag.long.into(), short, description, is_repeated, value }
        });
        let positionals = info.positionals.iter().filter(|positional| !positional.hidden).map(|positional| {
            let description = one_line(positional.description);
            Positional {
                value: value(positional.name, &description),
                description,
                is_required: positional.optionality == Optionality::Required,
                is_repeated: matches!(positional.optionality, Optionality::Repeating | Optionality::Greedy),
            }
        });
        Self {
            name: info.name.into(),
            description: one_line(info.description),
            flags: flags.collect(),
            positionals: positionals.collect(),
            commands: info.commands.iter().map(|below| Self::new(&below.command)).collect(),
        }
    }
}

fn value(name: &str, description: &str) -> Value {
    let kind = match words_of(description) {
        Some(words) => Kind::Words(words),
        None if is_file(name, description) => Kind::File,
        None => Kind::Anything,
    };
    let name = match kind {
        Kind::File => "FILE".into(),
        // `--head-timeout` takes a TIMEOUT.
        Kind::Words(_) | Kind::Anything => name.rsplit(['-', '_']).next().unwrap_or(name).to_uppercase(),
    };
    Value { name, kind }
}

/// `PEM file with a certificate`, `the configuration file`, but not `write it to standard output or a file descriptor`.
fn is_file(name: &str, description: &str) -> bool {
    let first = description.split([',', ';', ':']).next().unwrap_or_default();
    let says_so = |word: &str| matches!(word, "file" | "files" | "folder" | "path");
    name.split(['-', '_']).any(says_so) || first.split(' ').any(says_so)
}

/// `pretty or json; pretty in a terminal` is a list of two words.
fn words_of(description: &str) -> Option<Vec<String>> {
    let list = description.split(';').next()?;
    let (most, last) = list.rsplit_once(" or ")?;
    let words: Vec<_> = most.split(", ").chain([last]).map(str::to_owned).collect();
    let is_word =
        |word: &String| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    words.iter().all(is_word).then_some(words)
}

/// Doc comments have line breaks where the source has them.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What stands at the beginning of every file, behind its sign for a comment.
pub(super) const MADE: &str = "Made from the flags: BLESS=1 cargo test -p eproxy-cli words";

/// What a description says first, for lists in which there is no room for more.
pub(super) fn short(description: &str) -> &str {
    let end = description.find(';').into_iter().chain(description.find(": ")).min();
    &description[..end.unwrap_or(description.len())]
}
