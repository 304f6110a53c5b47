//! Launches that `RANK` and `WORLD_SIZE` describe: torchrun's and those by hand.

use super::variables::{DEFAULT_PORT, MAX_COUNT, Variables, ranks_below};
use super::{Launch, LaunchError, Launcher};

const RUN_ID: &str = "TORCHELASTIC_RUN_ID";
const HINT: &str =
    "set RANK, WORLD_SIZE and MASTER_ADDR for every process, or only WORLD_SIZE=1 to train in one process";
const LOCAL_HINT: &str =
    "LOCAL_RANK and LOCAL_WORLD_SIZE count the processes on one machine, and both may be left unset";

/// Whether the variables say that `RANK` and `WORLD_SIZE` describe the launch.
///
/// A run of torchrun without them has lost a part of its environment. It must be refused, because otherwise each of
/// its processes would train alone.
pub(super) fn applies(variables: &Variables<'_>) -> bool {
    ["RANK", "WORLD_SIZE", RUN_ID].iter().any(|name| variables.text(name).is_some())
}

/// Reads a launch for which [`applies`] holds.
pub(super) fn read(variables: &Variables<'_>) -> Result<Option<Launch>, LaunchError> {
    let Some(world) = variables.number("WORLD_SIZE", 1..=MAX_COUNT, HINT)? else {
        let given = if variables.text("RANK").is_some() { "RANK" } else { RUN_ID };
        return Err(variables.missing("WORLD_SIZE", given, "the number of processes", HINT));
    };
    if world == 1 {
        return Ok(None);
    }
    let rank = variables
        .rank("RANK", "ranks", ("WORLD_SIZE", world), HINT)?
        .ok_or_else(|| variables.missing("RANK", "WORLD_SIZE", ranks_below(world), HINT))?;

    let local_world = variables.number("LOCAL_WORLD_SIZE", 1..=world, LOCAL_HINT)?;
    let most_local = local_world.map_or(("WORLD_SIZE", world), |count| ("LOCAL_WORLD_SIZE", count));
    let local_rank = variables.rank("LOCAL_RANK", "local ranks", most_local, LOCAL_HINT)?;

    let master_addr = variables.text("MASTER_ADDR").ok_or_else(|| {
        let expected = "the host name or IP address of rank 0's machine";
        variables.missing("MASTER_ADDR", "WORLD_SIZE", expected, HINT)
    })?;
    let launcher = if variables.text(RUN_ID).is_some() { Launcher::Torchrun } else { Launcher::ByHand };
    Ok(Some(Launch {
        launcher,
        rank,
        world,
        local_rank,
        local_world,
        master_addr,
        master_port: variables.port("MASTER_PORT")?.unwrap_or(DEFAULT_PORT),
        agent_serves_store: variables
            .text("TORCHELASTIC_USE_AGENT_STORE")
            .is_some_and(|value| value.eq_ignore_ascii_case("true")),
        attempt: variables.attempt()?,
        error_file: variables.error_file(),
        // With several processes on a machine, torchrun sets the variable to 1 if the user has not set it.
        omp_threads_by_launcher: launcher == Launcher::Torchrun
            && local_world.is_some_and(|count| count > 1)
            && variables.text("OMP_NUM_THREADS").as_deref() == Some("1"),
    }))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::{launch_of, message_of};
    use super::*;

    const BY_HAND: [(&str, &str); 3] = [("RANK", "3"), ("WORLD_SIZE", "4"), ("MASTER_ADDR", "10.0.0.1")];

    /// Appends variables to those of a launch by hand.
    fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        [&BY_HAND[..], more].concat()
    }

    /// The variables that torchrun sets for one of two processes on each of two machines.
    fn torchrun<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let own = [
            ("LOCAL_RANK", "1"),
            ("LOCAL_WORLD_SIZE", "2"),
            ("MASTER_PORT", "40123"),
            ("OMP_NUM_THREADS", "1"),
            ("TORCHELASTIC_RUN_ID", "none"),
            ("TORCHELASTIC_RESTART_COUNT", "1"),
            ("TORCHELASTIC_USE_AGENT_STORE", "True"),
            ("TORCHELASTIC_ERROR_FILE", "/tmp/x/0/error.json"),
        ];
        with(&[&own[..], more].concat())
    }

    #[test]
    fn torchrun_says_everything() {
        let expected = Launch {
            launcher: Launcher::Torchrun,
            rank: 3,
            world: 4,
            local_rank: Some(1),
            local_world: Some(2),
            master_addr: "10.0.0.1".to_owned(),
            master_port: 40_123,
            agent_serves_store: true,
            attempt: 1,
            error_file: Some(PathBuf::from("/tmp/x/0/error.json")),
            omp_threads_by_launcher: true,
        };
        assert_eq!(launch_of(&torchrun(&[])), Ok(Some(expected)));
    }

    #[test]
    fn three_variables_suffice_by_hand() {
        let expected = Launch {
            launcher: Launcher::ByHand,
            rank: 3,
            world: 4,
            local_rank: None,
            local_world: None,
            master_addr: "10.0.0.1".to_owned(),
            master_port: 29_500,
            agent_serves_store: false,
            attempt: 0,
            error_file: None,
            omp_threads_by_launcher: false,
        };
        assert_eq!(launch_of(&with(&[])), Ok(Some(expected)));
    }

    #[test]
    fn the_agent_serves_the_store_only_if_it_says_so() {
        for (value, serves) in
            [("True", true), ("true", true), ("TRUE", true), ("False", false), ("1", false), ("", false)]
        {
            let launch = launch_of(&torchrun(&[("TORCHELASTIC_USE_AGENT_STORE", value)])).unwrap().unwrap();
            assert_eq!(launch.agent_serves_store, serves, "{value:?}");
        }
    }

    #[test]
    fn omp_threads_are_the_users_choice_unless_torchrun_would_have_set_them() {
        for other in
            [("OMP_NUM_THREADS", "2"), ("OMP_NUM_THREADS", ""), ("LOCAL_WORLD_SIZE", ""), ("TORCHELASTIC_RUN_ID", "")]
        {
            assert!(!launch_of(&torchrun(&[other])).unwrap().unwrap().omp_threads_by_launcher, "{other:?}");
        }
        let one_per_machine = torchrun(&[("LOCAL_WORLD_SIZE", "1"), ("LOCAL_RANK", "0")]);
        assert!(!launch_of(&one_per_machine).unwrap().unwrap().omp_threads_by_launcher);
    }

    #[test]
    fn a_world_of_one_is_a_single_process_whatever_else_is_set() {
        assert_eq!(launch_of(&[("WORLD_SIZE", "1")]), Ok(None));
        assert_eq!(launch_of(&torchrun(&[("WORLD_SIZE", "1"), ("RANK", "x"), ("MASTER_PORT", "0")])), Ok(None));
    }

    #[test]
    fn rank_and_world_size_need_each_other() {
        for value in ["0", "3"] {
            let start =
                format!("RANK is \"{value}\" but WORLD_SIZE is not set: expected the number of processes (hint: ");
            assert!(message_of(&[("RANK", value), ("MASTER_ADDR", "a")]).starts_with(&start));
        }
        let message = message_of(&with(&[("RANK", "")]));
        assert!(message.starts_with("WORLD_SIZE is \"4\" but RANK is not set: expected a number from 0 to 3 (hint: "));
        let message = message_of(&[("TORCHELASTIC_RUN_ID", "job")]);
        assert!(message.starts_with("TORCHELASTIC_RUN_ID is \"job\" but WORLD_SIZE is not set: "), "{message}");
    }

    #[test]
    fn the_address_of_rank_0_is_required() {
        let message = message_of(&with(&[("MASTER_ADDR", "")]));
        let start = "WORLD_SIZE is \"4\" but MASTER_ADDR is not set: expected the host name or IP address of rank 0's";
        assert!(message.starts_with(start), "{message}");
    }

    #[test]
    fn wrong_numbers_are_named() {
        for (variable, value, start) in [
            ("RANK", "x", "RANK is \"x\": expected a number from 0 to 3 (hint: "),
            ("RANK", "-1", "RANK is \"-1\": expected a number from 0 to 3 (hint: "),
            ("RANK", "4", "RANK is 4 and WORLD_SIZE is 4: ranks count from 0 to 3 (hint: "),
            ("WORLD_SIZE", "0", "WORLD_SIZE is \"0\": expected a number from 1 to 65535 (hint: "),
            ("WORLD_SIZE", "two", "WORLD_SIZE is \"two\": expected a number from 1 to 65535 (hint: "),
            ("WORLD_SIZE", "65536", "WORLD_SIZE is \"65536\": expected a number from 1 to 65535 (hint: "),
            ("LOCAL_RANK", "2", "LOCAL_RANK is 2 and LOCAL_WORLD_SIZE is 2: local ranks count from 0 to 1 (hint: "),
            ("LOCAL_RANK", "?", "LOCAL_RANK is \"?\": expected a number from 0 to 1 (hint: "),
            ("LOCAL_WORLD_SIZE", "5", "LOCAL_WORLD_SIZE is \"5\": expected a number from 1 to 4 (hint: "),
            ("MASTER_PORT", "0", "MASTER_PORT is \"0\": expected a number from 1 to 65535 (hint: "),
            ("MASTER_PORT", "65536", "MASTER_PORT is \"65536\": expected a number from 1 to 65535 (hint: "),
        ] {
            let message = message_of(&torchrun(&[(variable, value)]));
            assert!(message.starts_with(start), "{message}");
            assert!(message.ends_with(')'), "{message}");
        }
        let message = message_of(&with(&[("LOCAL_RANK", "4")]));
        assert!(message.starts_with("LOCAL_RANK is 4 and WORLD_SIZE is 4: local ranks count from 0 to 3 (hint: "));
    }
}
