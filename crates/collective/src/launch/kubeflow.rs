//! Launches by the Kubeflow trainer without torchrun.
//!
//! The trainer describes the nodes by torchrun's `PET_*` variables. It starts one process on each node and leaves it to
//! torchrun to start more, so that without torchrun a node has one process.

use super::variables::{DEFAULT_PORT, MAX_COUNT, Variables, parse, ranks_below};
use super::{Launch, LaunchError, Launcher};

const NODES: &str = "PET_NNODES";
const NODE_RANK: &str = "PET_NODE_RANK";
const PROCESSES: &str = "PET_NPROC_PER_NODE";
const HINT: &str = "the Kubeflow trainer sets the PET_* variables, so do not change them; set WORLD_SIZE=1 to train in \
                    one process";
const TORCHRUN_HINT: &str =
    "start it by `torchrun --no-python -- verdict train ...`, or set WORLD_SIZE=1 to train in one process";

/// Reads the launch from the variables that the Kubeflow trainer sets.
pub(super) fn read(variables: &Variables<'_>) -> Result<Option<Launch>, LaunchError> {
    let Some(nodes) = nodes(variables)? else { return Ok(None) };
    let per_node = processes_per_node(variables)?;
    let world = nodes * per_node;
    if world == 1 {
        return Ok(None);
    }
    let node_rank = variables
        .rank(NODE_RANK, "node ranks", (NODES, nodes), HINT)?
        .ok_or_else(|| variables.missing(NODE_RANK, NODES, ranks_below(nodes), HINT))?;
    let local_rank = variables.rank("LOCAL_RANK", "local ranks", (PROCESSES, per_node), TORCHRUN_HINT)?.unwrap_or(0);
    let master_addr = variables.text("PET_MASTER_ADDR").ok_or_else(|| {
        let expected = "the host name or IP address of the node with rank 0";
        variables.missing("PET_MASTER_ADDR", NODES, expected, HINT)
    })?;
    Ok(Some(Launch {
        launcher: Launcher::Kubeflow,
        rank: node_rank * per_node + local_rank,
        world,
        local_rank: Some(local_rank),
        local_world: Some(per_node),
        master_addr,
        master_port: variables.port("PET_MASTER_PORT")?.unwrap_or(DEFAULT_PORT),
        agent_serves_store: false,
        attempt: variables.attempt()?,
        error_file: variables.error_file(),
        omp_threads_by_launcher: false,
    }))
}

/// Reads the number of nodes, or `None` if the Kubeflow trainer has not started this process.
fn nodes(variables: &Variables<'_>) -> Result<Option<usize>, LaunchError> {
    let Some(found) = variables.text(NODES) else {
        // The other variables alone can be a user's defaults for torchrun, but a node's rank belongs to one node.
        return match variables.text(NODE_RANK) {
            Some(_) => Err(variables.missing(NODES, NODE_RANK, "the number of nodes", HINT)),
            None => Ok(None),
        };
    };
    if found.contains(':') {
        // Only torchrun can agree with the other nodes on how many take part, and again whenever one comes or goes.
        let expected = "a fixed number of nodes".to_owned();
        return Err(LaunchError::Value { variable: NODES, found, expected, hint: TORCHRUN_HINT });
    }
    variables.number(NODES, 1..=MAX_COUNT, HINT)
}

/// Reads the number of processes on each node, and refuses more than one unless something has numbered them.
fn processes_per_node(variables: &Variables<'_>) -> Result<usize, LaunchError> {
    let Some(found) = variables.text(PROCESSES) else { return Ok(1) };
    let refuse = |expected: &str| {
        let expected = expected.to_owned();
        Err(LaunchError::Value { variable: PROCESSES, found: found.clone(), expected, hint: TORCHRUN_HINT })
    };
    match parse(&found) {
        Some(1) => Ok(1),
        Some(count) if (2..=MAX_COUNT).contains(&count) => match variables.text("LOCAL_RANK") {
            Some(_) => Ok(count),
            None => refuse("1, because LOCAL_RANK is not set"),
        },
        // This includes torchrun's "gpu", "cpu" and "auto", for which it counts the devices itself.
        _ => refuse("a number of processes, which is 1 without torchrun"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{launch_of, message_of};
    use super::*;

    /// The variables that the trainer sets on the third of three nodes, and further ones.
    fn pod<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let own = [
            (NODES, "3"),
            (PROCESSES, "1"),
            (NODE_RANK, "2"),
            ("PET_MASTER_ADDR", "job-node-0-0.job"),
            ("PET_MASTER_PORT", "29400"),
        ];
        [&own[..], more].concat()
    }

    #[test]
    fn one_process_runs_on_each_node() {
        let expected = Launch {
            launcher: Launcher::Kubeflow,
            rank: 2,
            world: 3,
            local_rank: Some(0),
            local_world: Some(1),
            master_addr: "job-node-0-0.job".to_owned(),
            master_port: 29_400,
            agent_serves_store: false,
            attempt: 0,
            error_file: None,
            omp_threads_by_launcher: false,
        };
        assert_eq!(launch_of(&pod(&[])), Ok(Some(expected.clone())));
        assert_eq!(launch_of(&pod(&[(PROCESSES, "")])), Ok(Some(expected)));
        assert_eq!(launch_of(&pod(&[("PET_MASTER_PORT", "")])).unwrap().unwrap().master_port, 29_500);
    }

    #[test]
    fn several_processes_on_a_node_need_a_local_rank() {
        let launch = launch_of(&pod(&[(PROCESSES, "4"), ("LOCAL_RANK", "3")])).unwrap().unwrap();
        assert_eq!((launch.rank, launch.world), (11, 12));
        assert_eq!((launch.local_rank, launch.local_world), (Some(3), Some(4)));

        let one_node = pod(&[(NODES, "1"), (NODE_RANK, "0"), (PROCESSES, "2"), ("LOCAL_RANK", "1")]);
        let launch = launch_of(&one_node).unwrap().unwrap();
        assert_eq!((launch.rank, launch.world), (1, 2));
    }

    #[test]
    fn one_node_with_one_process_is_a_single_process() {
        assert_eq!(launch_of(&pod(&[(NODES, "1"), (NODE_RANK, "x"), ("PET_MASTER_PORT", "0")])), Ok(None));
        assert_eq!(launch_of(&[(PROCESSES, "auto"), ("PET_MASTER_ADDR", "a")]), Ok(None));
    }

    #[test]
    fn what_only_torchrun_can_do_is_refused() {
        let hint = format!("(hint: {TORCHRUN_HINT})");
        let start = "PET_NPROC_PER_NODE is";
        for value in ["gpu", "cpu", "auto", "xpu", "0", "65536"] {
            let message = message_of(&pod(&[(PROCESSES, value), ("LOCAL_RANK", "0")]));
            let expected = "expected a number of processes, which is 1 without torchrun";
            assert_eq!(message, format!("{start} \"{value}\": {expected} {hint}"));
        }
        let message = message_of(&pod(&[(PROCESSES, "4")]));
        assert_eq!(message, format!("{start} \"4\": expected 1, because LOCAL_RANK is not set {hint}"));
        let message = message_of(&pod(&[(NODES, "1:4")]));
        assert_eq!(message, format!("PET_NNODES is \"1:4\": expected a fixed number of nodes {hint}"));
    }

    #[test]
    fn wrong_values_are_named() {
        for (variable, value, start) in [
            (NODES, "x", "PET_NNODES is \"x\": expected a number from 1 to 65535 (hint: "),
            (NODES, "0", "PET_NNODES is \"0\": expected a number from 1 to 65535 (hint: "),
            (NODES, "", "PET_NODE_RANK is \"2\" but PET_NNODES is not set: expected the number of nodes (hint: "),
            (NODE_RANK, "3", "PET_NODE_RANK is 3 and PET_NNODES is 3: node ranks count from 0 to 2 (hint: "),
            (NODE_RANK, "x", "PET_NODE_RANK is \"x\": expected a number from 0 to 2 (hint: "),
            (NODE_RANK, "", "PET_NNODES is \"3\" but PET_NODE_RANK is not set: expected a number from 0 to 2 (hint: "),
            ("LOCAL_RANK", "1", "LOCAL_RANK is 1 and PET_NPROC_PER_NODE is 1: local ranks count from 0 to 0 (hint: "),
            ("PET_MASTER_ADDR", "", "PET_NNODES is \"3\" but PET_MASTER_ADDR is not set: expected the host name or"),
            ("PET_MASTER_PORT", "99999", "PET_MASTER_PORT is \"99999\": expected a number from 1 to 65535 (hint: "),
        ] {
            let message = message_of(&pod(&[(variable, value)]));
            assert!(message.starts_with(start), "{message}");
        }
    }
}
