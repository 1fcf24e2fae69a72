//! What is kept is what the flags say now, and the programs that read it make of it what they should.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use argh::{ArgsInfo, FromArgs};

use super::flag::{self, Command as Words};
use super::{bash, fish, man, zsh};
use crate::flags::Flags;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Compares with the file that is kept, or writes it where `BLESS` is set.
fn kept(path: &str, now: &str) {
    let file = root().join(path);
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        return fs::write(file, now).unwrap();
    }
    let there = fs::read_to_string(&file).unwrap_or_default();
    // Without the text of both, which is long.
    assert!(there == now, "{path} is not what the flags say: BLESS=1 cargo test -p eproxy-cli words");
}

#[test]
fn completions_and_the_man_page_say_what_the_flags_say() {
    let program = Words::of::<Flags>();
    kept("examples/completions/eproxy.bash", &bash::write(&program));
    kept("examples/completions/_eproxy", &zsh::write(&program));
    kept("examples/completions/eproxy.fish", &fish::write(&program));
    kept("docs/eproxy.1", &man::write(&program));
}

/// a program with everything that flags can be: it's for 'tests' [only]
#[derive(FromArgs, ArgsInfo)]
#[expect(dead_code, reason = "it is described, and never made")]
struct Everything {
    /// the configuration file
    #[argh(option, short = 'c')]
    config: Option<PathBuf>,

    /// red, green or blue; red unless given
    #[argh(option)]
    colour: Option<String>,

    /// a number
    #[argh(option)]
    count: Vec<u8>,

    /// be quiet
    #[argh(switch, short = 'q')]
    quiet: bool,

    #[argh(subcommand)]
    command: Option<Below>,
}

#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand)]
#[expect(dead_code, reason = "it is described, and never made")]
enum Below {
    Check(Check),
    Tell(Tell),
}

/// look for mistakes
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "check")]
#[expect(dead_code, reason = "it is described, and never made")]
struct Check {
    /// the file to look at
    #[argh(positional)]
    file: PathBuf,

    /// take warnings for errors
    #[argh(switch)]
    strict: bool,
}

/// tell what would be done
#[derive(FromArgs, ArgsInfo)]
#[argh(subcommand, name = "tell")]
#[expect(dead_code, reason = "it is described, and never made")]
struct Tell {
    /// GET, POST and the like
    #[argh(option)]
    method: Option<String>,
}

/// What bash proposes for the last of these words.
fn proposed(script: &str, words: &[&str]) -> Option<Vec<String>> {
    let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    let asking = format!(
        "{script}\nCOMP_WORDS=({}); COMP_CWORD={}; _eproxy; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        quoted.join(" "),
        words.len() - 1
    );
    let said = fed("bash", &["--norc", "--noprofile", "-s"], &asking)?;
    Some(said.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// Gives a text to a program, and has what it says; none if the program is not there, which is said.
fn fed(program: &str, arguments: &[&str], text: &str) -> Option<String> {
    let child = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped: {program} is not installed");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    // A program that has ended early says below why.
    let _closed = stdin.write_all(text.as_bytes());
    drop(stdin);
    let ended = child.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success() && err.trim().is_empty(), "{program} {arguments:?}: {err}{out}");
    Some(out.into_owned())
}

#[test]
fn bash_proposes_flags_commands_words_and_files() {
    let script = bash::write(&Words::of::<Everything>());
    for (words, expected) in [
        (&["eproxy", "--co"][..], &["--config", "--colour", "--count"][..]),
        (&["eproxy", "ch"], &["check"]),
        (&["eproxy", "--colour", ""], &["red", "green", "blue"]),
        (&["eproxy", "--colour", "g"], &["green"]),
        (&["eproxy", "--count", ""], &[]),
        (&["eproxy", "-c", "Cargo.to"], &["Cargo.toml"]),
        (&["eproxy", "check", "Cargo.l"], &["Cargo.lock"]),
        (&["eproxy", "check", "--s"], &["--strict"]),
        (&["eproxy", "--colour", "red", "tell", "--m"], &["--method"]),
        // The value of a flag is no command.
        (&["eproxy", "--config", "check", "--q"], &["--quiet"]),
    ] {
        let Some(said) = proposed(&script, words) else { return };
        assert_eq!(said, expected, "{words:?}");
    }
}

#[test]
fn bash_proposes_the_flags_of_the_program() {
    let program = Words::of::<Flags>();
    let script = bash::write(&program);
    for flag in &program.flags {
        let Some(said) = proposed(&script, &["eproxy", &flag.long]) else { return };
        assert!(said.contains(&flag.long), "{}: {said:?}", flag.long);
    }
    assert_eq!(proposed(&script, &["eproxy", "--log-format", ""]).unwrap(), ["pretty", "json"]);
}

#[test]
fn shells_can_read_their_completions() {
    for program in [Words::of::<Flags>(), Words::of::<Everything>()] {
        fed("bash", &["-n"], &bash::write(&program));
        fed("zsh", &["-n"], &zsh::write(&program));
        fed("fish", &["--no-execute"], &fish::write(&program));
    }
}

#[test]
fn fish_proposes_flags_commands_and_words() {
    let script = fish::write(&Words::of::<Everything>());
    for (line, expected) in [
        ("eproxy --co", &["--colour", "--config", "--count"][..]),
        ("eproxy ch", &["check"]),
        ("eproxy --colour ", &["blue", "green", "red"]),
        ("eproxy check --s", &["--strict"]),
        ("eproxy tell --m", &["--method"]),
    ] {
        let asking = format!("{script}\ncomplete -C '{line}'\n");
        let Some(said) = fed("fish", &["--no-config"], &asking) else { return };
        let mut said: Vec<_> = said.lines().map(|line| line.split('\t').next().unwrap()).collect();
        said.sort_unstable();
        assert_eq!(said, expected, "{line}");
    }
}

#[test]
fn the_man_page_is_read_without_a_warning() {
    for program in [Words::of::<Flags>(), Words::of::<Everything>()] {
        let page = man::write(&program);
        // It says nothing on standard error but warnings, and `fed` wants none.
        fed("groff", &["-man", "-Tutf8", "-ww", "-z"], &page);
        if let Some(shown) = fed("groff", &["-man", "-Tascii", "-P-cbou"], &page) {
            for flag in &program.flags {
                assert!(shown.contains(&flag.long), "{}", flag.long);
            }
        }
    }
}

#[test]
fn descriptions_tell_files_from_words() {
    let program = Words::of::<Everything>();
    let value = |name: &str| {
        let flag = program.flags.iter().find(|flag| flag.long == name).unwrap();
        flag.value.as_ref().map(|value| match &value.kind {
            flag::Kind::File => format!("{} file", value.name),
            flag::Kind::Words(words) => words.join(" "),
            flag::Kind::Anything => value.name.clone(),
        })
    };
    assert_eq!(value("--config").as_deref(), Some("FILE file"));
    assert_eq!(value("--colour").as_deref(), Some("red green blue"));
    assert_eq!(value("--count").as_deref(), Some("COUNT"));
    assert_eq!(value("--quiet"), None);
    assert_eq!(flag::short("address to listen on; 127.0.0.1 unless given"), "address to listen on");
}
