//! Files are labeled and scored by several processes as by one.

use crate::support::{Sandbox, ends};

#[test]
fn evaluation_by_several_processes_is_that_of_one() {
    let sandbox = Sandbox::trained(1);
    let line = "evaluate --run run --output scores --json -";
    let figures = |text: &str| {
        let mut value: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let map = value.as_object_mut().expect("an object");
        ["seconds", "first_batch_seconds"].iter().for_each(|key| drop(map.remove(*key)));
        value
    };
    let of_one = figures(&sandbox.succeeds(line));
    for world in 2..=5 {
        assert_eq!(figures(&sandbox.ranks_succeed(world, line)), of_one, "{world} processes");
    }
    let outputs = ends(sandbox.start_ranks(2, line, &[]));
    assert!(outputs.iter().all(|output| output.code == 0));
}
