//! Finds out from environment variables which process of a distributed training this one is.
//!
//! Three sources are asked in this order, and the first that says something wins:
//!
//! 1. `RANK` and `WORLD_SIZE`, set by torchrun or by hand. They come first because torchrun is often started by SLURM
//!    or Kubeflow, and only torchrun knows the processes that it started.
//! 2. The variables that SLURM's `srun` sets for a job step of several tasks.
//! 3. The `PET_*` variables that the Kubeflow trainer sets for torchrun.

use std::fmt;
use std::path::PathBuf;

mod error;
mod explicit;
mod kubeflow;
mod slurm;
mod variables;

pub use error::LaunchError;
use variables::Variables;

/// What started the processes of a distributed training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Launcher {
    /// The `torchrun` program.
    Torchrun,
    /// SLURM's `srun`.
    Slurm,
    /// The Kubeflow trainer, one process per node and without torchrun.
    Kubeflow,
    /// Something else that sets `RANK` and `WORLD_SIZE`, such as a shell script.
    ByHand,
}

impl fmt::Display for Launcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Torchrun => "torchrun",
            Self::Slurm => "SLURM",
            Self::Kubeflow => "Kubeflow",
            Self::ByHand => "environment variables",
        })
    }
}

/// How this process was started together with others, as its environment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// What started the processes.
    pub launcher: Launcher,
    /// The number of this process, from 0 to `world - 1`.
    pub rank: usize,
    /// The number of processes, at least 2.
    pub world: usize,
    /// The number of this process among those on the same machine, if the launcher says so.
    pub local_rank: Option<usize>,
    /// The number of processes on this machine, if the launcher says so.
    pub local_world: Option<usize>,
    /// The host name or IP address at which the store is served.
    pub master_addr: String,
    /// The TCP port at which the store is served.
    pub master_port: u16,
    /// Whether the launcher's agent serves the store, so that no rank does.
    pub agent_serves_store: bool,
    /// How often the launcher has started the processes again: a prefix of the store's keys.
    pub attempt: u64,
    /// The file in which torchrun expects the error of a process that fails.
    pub error_file: Option<PathBuf>,
    /// Whether `OMP_NUM_THREADS` is probably torchrun's default of 1 rather than the user's wish.
    pub omp_threads_by_launcher: bool,
}

impl Launch {
    /// Reads the launch from this process's environment; `None` means that this process trains alone.
    ///
    /// # Errors
    ///
    /// Fails if the variables are incomplete, malformed, or contradict each other.
    pub fn from_environment() -> Result<Option<Self>, LaunchError> {
        // A value that is not UTF-8 must not count as unset, or the process would train alone. Converted with
        // replacement characters, it is refused wherever a number is expected.
        Self::from_lookup(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// Reads the launch from the variables that `lookup` knows; `None` means that this process trains alone.
    ///
    /// # Errors
    ///
    /// Fails if the variables are incomplete, malformed, or contradict each other.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, LaunchError> {
        let variables = Variables::new(&lookup);
        if explicit::applies(&variables) {
            return explicit::read(&variables);
        }
        match slurm::read(&variables)? {
            Some(launch) => Ok(Some(launch)),
            None => kubeflow::read(&variables),
        }
    }
}

/// Reads a launch from the given variables, for the tests of this module and of those below it.
#[cfg(test)]
fn launch_of(pairs: &[(&str, &str)]) -> Result<Option<Launch>, LaunchError> {
    // The last of equal names counts, so that a test can append to a list that it shares with others.
    Launch::from_lookup(|name| pairs.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
}

/// Returns the message of the error that the given variables lead to.
#[cfg(test)]
fn message_of(pairs: &[(&str, &str)]) -> String {
    launch_of(pairs).unwrap_err().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLURM: [(&str, &str); 6] = [
        ("SLURM_STEP_NUM_TASKS", "2"),
        ("SLURM_PROCID", "1"),
        ("SLURM_LOCALID", "1"),
        ("SLURM_STEP_NODELIST", "node[1-2]"),
        ("SLURM_JOB_ID", "7"),
        ("SLURM_STEP_ID", "0"),
    ];
    const KUBEFLOW: [(&str, &str); 3] =
        [("PET_NNODES", "4"), ("PET_NODE_RANK", "3"), ("PET_MASTER_ADDR", "job-node-0-0.job")];
    const BY_HAND: [(&str, &str); 3] = [("RANK", "2"), ("WORLD_SIZE", "3"), ("MASTER_ADDR", "first")];

    #[test]
    fn no_variables_mean_a_single_process() {
        assert_eq!(launch_of(&[]), Ok(None));
        assert_eq!(launch_of(&[("MASTER_ADDR", "a"), ("MASTER_PORT", "x"), ("LOCAL_RANK", "x")]), Ok(None));
    }

    #[test]
    fn empty_variables_count_as_unset() {
        let names = ["RANK", "WORLD_SIZE", "TORCHELASTIC_RUN_ID", "SLURM_STEP_NUM_TASKS", "PET_NNODES"];
        for value in ["", " \n"] {
            assert_eq!(launch_of(&names.map(|name| (name, value))), Ok(None));
        }
    }

    #[test]
    fn the_first_source_that_applies_wins() {
        let all = [&KUBEFLOW[..], &SLURM, &BY_HAND].concat();
        let launch = launch_of(&all).unwrap().unwrap();
        assert_eq!((launch.launcher, launch.rank, launch.world), (Launcher::ByHand, 2, 3));
        assert_eq!(launch.local_rank, None, "SLURM_LOCALID may belong to a parent process");

        let launch = launch_of(&[&KUBEFLOW[..], &SLURM].concat()).unwrap().unwrap();
        assert_eq!((launch.launcher, launch.rank, launch.world), (Launcher::Slurm, 1, 2));

        let one_task = [&KUBEFLOW[..], &SLURM, &[("SLURM_STEP_NUM_TASKS", "1")]].concat();
        let launch = launch_of(&one_task).unwrap().unwrap();
        assert_eq!((launch.launcher, launch.rank, launch.world), (Launcher::Kubeflow, 3, 4));
    }

    #[test]
    fn half_of_an_explicit_launch_is_not_completed_by_other_sources() {
        for (name, value) in [("RANK", "0"), ("WORLD_SIZE", "2")] {
            let message = message_of(&[&KUBEFLOW[..], &SLURM, &[(name, value)]].concat());
            assert!(message.starts_with(&format!("{name} is \"{value}\" but ")), "{message}");
        }
    }

    #[test]
    fn a_world_size_of_one_overrides_every_launcher() {
        let all = [&KUBEFLOW[..], &SLURM, &[("WORLD_SIZE", "1")]].concat();
        assert_eq!(launch_of(&all), Ok(None));
    }

    #[test]
    fn launchers_have_readable_names() {
        let all = [Launcher::Torchrun, Launcher::Slurm, Launcher::Kubeflow, Launcher::ByHand];
        assert_eq!(all.map(|one| one.to_string()), ["torchrun", "SLURM", "Kubeflow", "environment variables"]);
    }

    #[test]
    fn restarts_and_the_error_file_are_read_for_every_launcher() {
        for (launcher, of_launcher) in [
            (Launcher::ByHand, &BY_HAND[..]),
            (Launcher::Slurm, &SLURM[..]),
            (Launcher::Kubeflow, &KUBEFLOW[..]),
            (Launcher::Torchrun, &[&BY_HAND[..], &[("TORCHELASTIC_RUN_ID", "none")]].concat()),
        ] {
            let launch = launch_of(of_launcher).unwrap().unwrap();
            assert_eq!((launch.launcher, launch.attempt, launch.error_file), (launcher, 0, None));

            let mut pairs = of_launcher.to_vec();
            pairs.extend([("SLURM_RESTART_COUNT", "2"), ("TORCHELASTIC_ERROR_FILE", "/tmp/error.json")]);
            let launch = launch_of(&pairs).unwrap().unwrap();
            assert_eq!((launch.attempt, launch.error_file), (2, Some(PathBuf::from("/tmp/error.json"))));

            pairs.push(("TORCHELASTIC_RESTART_COUNT", "5"));
            assert_eq!(launch_of(&pairs).unwrap().unwrap().attempt, 5);

            pairs.push(("TORCHELASTIC_RESTART_COUNT", "-1"));
            assert!(
                message_of(&pairs).starts_with("TORCHELASTIC_RESTART_COUNT is \"-1\": expected a number from 0 to")
            );
        }
    }
}
