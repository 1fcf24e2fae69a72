//! What is asked about configuration files without starting anything.

use std::io::Write as _;
use std::process::ExitCode;

use crate::configured;
use crate::flags::{Check, Command};

/// Answers on standard output; what is wrong is told on standard error, and ends with 2.
pub(crate) fn run(command: &Command) -> ExitCode {
    match command {
        Command::Check(Check { file }) => match configured::load(file) {
            Ok(config) => {
                let mut text: String =
                    config.warnings().iter().map(|problem| format!("warning: {problem}")).collect();
                text += &format!("{}: ok, {}\n", file.display(), config.summary());
                say(&text)
            }
            Err(code) => code,
        },
    }
}

fn say(text: &str) -> ExitCode {
    match write!(std::io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever closed standard output does not want to know.
        Err(_) => ExitCode::FAILURE,
    }
}
