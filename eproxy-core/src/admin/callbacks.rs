//! What the program does for its admin listener.

use std::fmt;
use std::pin::Pin;

use crate::upstream::Group;

/// Has what the program was told loaded again: what came of it, or what is wrong, a line for each problem.
pub(super) type Reload =
    dyn Fn() -> Pin<Box<dyn Future<Output = Result<String, String>> + Send>> + Send + Sync;

/// Sets the log level.
pub(super) type SetLevel = dyn Fn(&str) -> Result<(), String> + Send + Sync;

/// The configuration as it is in effect.
pub(super) type Config = dyn Fn() -> String + Send + Sync;

/// The groups that there are now.
pub(super) type Groups = dyn Fn() -> Vec<(String, Group)> + Send + Sync;

/// What the program has given.
#[derive(Default)]
pub(super) struct Callbacks {
    pub(super) reload: Option<Box<Reload>>,
    pub(super) set_level: Option<Box<SetLevel>>,
    pub(super) config: Option<Box<Config>>,
    pub(super) groups: Vec<Box<Groups>>,
}

impl Callbacks {
    /// All groups, in the order in which they were named; of one name, the first.
    pub(super) fn groups(&self) -> Vec<(String, Group)> {
        let mut all: Vec<(String, Group)> = Vec::new();
        for (name, group) in self.groups.iter().flat_map(|groups| groups()) {
            if all.iter().all(|(known, _)| *known != name) {
                all.push((name, group));
            }
        }
        all
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks")
            .field("reload", &self.reload.is_some())
            .field("set_level", &self.set_level.is_some())
            .field("config", &self.config.is_some())
            .finish_non_exhaustive()
    }
}
