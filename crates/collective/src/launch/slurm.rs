//! Launches by SLURM's `srun`, and the first name of SLURM's lists of hosts.

use super::variables::{MAX_COUNT, Variables, parse, ranks_below};
use super::{Launch, LaunchError, Launcher};

const TASKS: &str = "SLURM_STEP_NUM_TASKS";
const TASKS_PER_NODE: &str = "SLURM_STEP_TASKS_PER_NODE";
const HINT: &str = "srun sets this variable, so do not change it; set WORLD_SIZE=1 to train in one process";
const ADDRESS_HINT: &str = "set MASTER_ADDR to the host name or IP address of the node with task 0";
const PORT_HINT: &str = "set MASTER_PORT to a free TCP port of the node with task 0";

/// Reads the launch of a job step with several tasks.
///
/// `SLURM_NTASKS` does not count: an sbatch script has it too, although the script itself is one process.
pub(super) fn read(variables: &Variables<'_>) -> Result<Option<Launch>, LaunchError> {
    let world = match variables.number(TASKS, 1..=MAX_COUNT, HINT)? {
        None | Some(1) => return Ok(None),
        Some(world) => world,
    };
    let rank = variables
        .rank("SLURM_PROCID", "ranks", (TASKS, world), HINT)?
        .ok_or_else(|| variables.missing("SLURM_PROCID", TASKS, ranks_below(world), HINT))?;

    let local_world = variables.text(TASKS_PER_NODE).and_then(|text| tasks_on_each_node(&text)).filter(|&n| n <= world);
    let most_local = local_world.map_or((TASKS, world), |count| (TASKS_PER_NODE, count));
    let local_rank = variables.rank("SLURM_LOCALID", "local ranks", most_local, HINT)?;

    Ok(Some(Launch {
        launcher: Launcher::Slurm,
        rank,
        world,
        local_rank,
        local_world,
        master_addr: master_addr(variables)?,
        master_port: master_port(variables)?,
        agent_serves_store: false,
        attempt: variables.attempt()?,
        error_file: variables.error_file(),
        omp_threads_by_launcher: false,
    }))
}

/// Returns `MASTER_ADDR` or else the first node of the job step, on which SLURM starts task 0.
fn master_addr(variables: &Variables<'_>) -> Result<String, LaunchError> {
    if let Some(address) = variables.text("MASTER_ADDR") {
        return Ok(address);
    }
    for variable in ["SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST"] {
        if let Some(found) = variables.text(variable) {
            return first_host(&found).ok_or_else(|| {
                let expected = "a list of hosts such as node[01-04]".to_owned();
                LaunchError::Value { variable, found, expected, hint: ADDRESS_HINT }
            });
        }
    }
    Err(variables.missing("SLURM_STEP_NODELIST", TASKS, "the list of the job step's hosts", ADDRESS_HINT))
}

/// Returns `MASTER_PORT` or else a port that all tasks agree on and that other jobs and steps on the node hardly share.
fn master_port(variables: &Variables<'_>) -> Result<u16, LaunchError> {
    if let Some(port) = variables.port("MASTER_PORT")? {
        return Ok(port);
    }
    // SLURM's numbers have 32 bits, and the steps that it starts for itself have numbers close to the largest, so
    // that the sum below needs 64 bits.
    let id = |name| {
        variables
            .number(name, 0..=u64::from(u32::MAX), PORT_HINT)?
            .ok_or_else(|| variables.missing(name, TASKS, format!("a number from 0 to {}", u32::MAX), PORT_HINT))
    };
    let offset = (id("SLURM_JOB_ID")? * 31 + id("SLURM_STEP_ID")?) % 10_000;
    Ok(20_000 + offset as u16)
}

/// Returns the number of tasks on every node if it is the same on all: 4 for `4` and for `4(x2)`.
fn tasks_on_each_node(text: &str) -> Option<usize> {
    let tasks = match text.split_once("(x") {
        None => text,
        Some((tasks, nodes)) => {
            parse::<usize>(nodes.strip_suffix(')')?)?;
            tasks
        }
    };
    parse(tasks).filter(|&tasks| tasks > 0)
}

/// Returns the first host of a list in SLURM's short form: `node07` for `node[07-09,12],gpu3`.
///
/// Returns `None` if the first entry of the list is not a host; the other entries are not looked at.
#[must_use]
pub(super) fn first_host(nodelist: &str) -> Option<String> {
    let mut host = String::new();
    let mut rest = nodelist.trim();
    while let Some(symbol) = rest.chars().next().filter(|&symbol| symbol != ',') {
        if let Some(after) = rest.strip_prefix('[') {
            let (numbers, after) = after.split_once(']')?;
            host.push_str(first_number(numbers)?);
            rest = after;
        } else if symbol.is_ascii_alphanumeric() || "-_.".contains(symbol) {
            host.push(symbol);
            // The symbol is ASCII, and so has one byte.
            rest = &rest[1..];
        } else {
            return None;
        }
    }
    (!host.is_empty()).then_some(host)
}

/// Returns the first number, with its leading zeros, of what stands between brackets: `07` of `07-09,12`.
fn first_number(numbers: &str) -> Option<&str> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_range = |text: &str| match text.split_once('-') {
        Some((first, last)) => is_number(first) && is_number(last),
        None => is_number(text),
    };
    if !numbers.split(',').all(is_range) {
        return None;
    }
    numbers.split([',', '-']).next()
}

#[cfg(test)]
mod tests {
    use super::super::{launch_of, message_of};
    use super::*;

    /// The variables that srun sets for the last of four tasks on two nodes, and further ones.
    fn srun<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let own = [
            ("SLURM_JOB_ID", "123456"),
            ("SLURM_STEP_ID", "2"),
            ("SLURM_NTASKS", "4"),
            (TASKS, "4"),
            (TASKS_PER_NODE, "2(x2)"),
            ("SLURM_PROCID", "3"),
            ("SLURM_LOCALID", "1"),
            ("SLURM_STEP_NODELIST", "node[07-08]"),
            ("SLURM_JOB_NODELIST", "node[06-08]"),
        ];
        [&own[..], more].concat()
    }

    fn launch(more: &[(&str, &str)]) -> Launch {
        launch_of(&srun(more)).unwrap().unwrap()
    }

    #[test]
    fn srun_says_everything() {
        let expected = Launch {
            launcher: Launcher::Slurm,
            rank: 3,
            world: 4,
            local_rank: Some(1),
            local_world: Some(2),
            master_addr: "node07".to_owned(),
            master_port: 27_138,
            agent_serves_store: false,
            attempt: 0,
            error_file: None,
            omp_threads_by_launcher: false,
        };
        assert_eq!(launch(&[]), expected);
    }

    #[test]
    fn a_batch_script_and_a_step_of_one_task_are_single_processes() {
        assert_eq!(launch_of(&srun(&[(TASKS, "")])), Ok(None));
        assert_eq!(launch_of(&srun(&[(TASKS, "1"), ("SLURM_PROCID", "x"), ("SLURM_STEP_NODELIST", "[")])), Ok(None));
    }

    #[test]
    fn explicit_address_and_port_win() {
        let launch = launch(&[("MASTER_ADDR", "login"), ("MASTER_PORT", "1234"), ("SLURM_JOB_ID", "")]);
        assert_eq!((launch.master_addr.as_str(), launch.master_port), ("login", 1234));
    }

    #[test]
    fn the_jobs_hosts_stand_in_for_the_steps() {
        assert_eq!(launch(&[("SLURM_STEP_NODELIST", "")]).master_addr, "node06");
    }

    #[test]
    fn ports_differ_between_jobs_and_steps() {
        let port = |job, step| launch(&[("SLURM_JOB_ID", job), ("SLURM_STEP_ID", step)]).master_port;
        assert_eq!(port("0", "0"), 20_000);
        assert_eq!(port("1", "0"), 20_031);
        assert_eq!(port("1", "1"), 20_032);
        assert_eq!(port("322", "17"), 29_999);
        assert_eq!(port("0", "4294967291"), 27_291);
        assert_eq!(port("4294967295", "4294967295"), 23_440);
    }

    #[test]
    fn tasks_per_node_count_if_they_are_the_same_on_all_nodes() {
        for (text, tasks) in [("4", Some(4)), ("4(x2)", Some(4)), ("16(x128)", Some(16))] {
            assert_eq!(tasks_on_each_node(text), tasks, "{text}");
        }
        for text in ["2(x3),1", "2,1", "4(x2", "4(x)", "4(2)", "0", "x", "", "(x2)"] {
            assert_eq!(tasks_on_each_node(text), None, "{text}");
        }
        let uneven = launch(&[(TASKS_PER_NODE, "3,1"), ("SLURM_LOCALID", "2")]);
        assert_eq!((uneven.local_rank, uneven.local_world), (Some(2), None));
        assert_eq!(launch(&[(TASKS_PER_NODE, "8(x2)")]).local_world, None);
        assert_eq!(launch(&[("SLURM_LOCALID", "")]).local_rank, None);
    }

    #[test]
    fn wrong_values_are_named() {
        let id = "expected a number from 0 to 4294967295 (hint: set MASTER_PORT";
        for (variable, value, start) in [
            (TASKS, "0", "SLURM_STEP_NUM_TASKS is \"0\": expected a number from 1 to 65535 (hint: "),
            ("SLURM_PROCID", "x", "SLURM_PROCID is \"x\": expected a number from 0 to 3 (hint: "),
            ("SLURM_PROCID", "4", "SLURM_PROCID is 4 and SLURM_STEP_NUM_TASKS is 4: ranks count from 0 to 3 (hint: "),
            ("SLURM_PROCID", "", "SLURM_STEP_NUM_TASKS is \"4\" but SLURM_PROCID is not set: expected a number from"),
            ("SLURM_LOCALID", "2", "SLURM_LOCALID is 2 and SLURM_STEP_TASKS_PER_NODE is 2: local ranks count from 0"),
            ("SLURM_STEP_NODELIST", "(null)", "SLURM_STEP_NODELIST is \"(null)\": expected a list of hosts such as"),
            ("MASTER_PORT", "65536", "MASTER_PORT is \"65536\": expected a number from 1 to 65535 (hint: "),
            ("SLURM_JOB_ID", "1_2", &format!("SLURM_JOB_ID is \"1_2\": {id}")),
            ("SLURM_STEP_ID", "", &format!("SLURM_STEP_NUM_TASKS is \"4\" but SLURM_STEP_ID is not set: {id}")),
            ("SLURM_RESTART_COUNT", "x", "SLURM_RESTART_COUNT is \"x\": expected a number from 0 to 4294967295"),
        ] {
            let message = message_of(&srun(&[(variable, value)]));
            assert!(message.starts_with(start), "{message}");
        }
        let message = message_of(&srun(&[("SLURM_STEP_NODELIST", ""), ("SLURM_JOB_NODELIST", "")]));
        assert!(message.starts_with("SLURM_STEP_NUM_TASKS is \"4\" but SLURM_STEP_NODELIST is not set: "), "{message}");
    }

    #[test]
    fn the_first_host_is_found() {
        for (list, host) in [
            ("localhost", "localhost"),
            ("node1,node2", "node1"),
            ("node[07-09,12],gpu3", "node07"),
            ("node[12,07-09]", "node12"),
            ("node[3]", "node3"),
            ("node[001-100]", "node001"),
            ("rack[1-2]node[3-4]", "rack1node3"),
            ("rack[1-2]-node[3-4].cluster,x", "rack1-node3.cluster"),
            ("gpu-a100_[08,10-11]-ib0", "gpu-a100_08-ib0"),
            ("login.example.org,node[1-2]", "login.example.org"),
            ("10.0.0.1", "10.0.0.1"),
            (" node[1-2]\n", "node1"),
            ("node1,[", "node1"),
        ] {
            assert_eq!(first_host(list).as_deref(), Some(host), "{list}");
        }
    }

    #[test]
    fn malformed_lists_have_no_first_host() {
        for list in [
            "",
            " ",
            ",",
            ",node1",
            "[",
            "node[",
            "node[]",
            "node[1-2",
            "node1]",
            "node[a-b]",
            "node[1-]",
            "node[-2]",
            "node[1,,2]",
            "node[1-2-3]",
            "node[[1-2]]",
            "node[1 -2]",
            "node 1",
            "(null)",
            "knoten\u{fc}",
        ] {
            assert_eq!(first_host(list), None, "{list}");
        }
    }
}
