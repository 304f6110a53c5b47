//! What a resumed run must have in common with the one that was saved.

use super::*;

#[test]
fn only_differences_that_affect_the_result_are_reported() {
    let state = state(20, 10);
    let config = TrainConfig {
        data: Some("moved".into()),
        optimizer: OptimizerOptions { learning_rate: 3e-5, ..Default::default() },
        checkpoint: CheckpointOptions { save_total: 5, ..Default::default() },
        ..TrainConfig::default()
    };
    let (train_sha256, backend) = ("ee".to_owned(), Some("libtorch".to_owned()));
    let identity = Identity { threads: 1, train_sha256, backend, ..state.identity.clone() };
    assert_eq!(state.differences(&TrainConfig::default(), &state.identity).unwrap(), Vec::<String>::new());
    assert_eq!(
        state.differences(&config, &identity).unwrap(),
        [
            "learning_rate was 0.00002, and is 0.00003",
            "the training split's sha256 was \"aa\", and is \"ee\"",
            "the number of threads was 2, and is 1",
            "the backend (libtorch with VERDICT_KERNELS=off, else kernels) was \"kernels\", and is \"libtorch\""
        ]
    );
}

#[test]
fn a_gpu_is_compared_by_its_model_and_not_by_the_threads_of_its_host() {
    let on = |device: &str, gpu: Option<&str>, threads| {
        let mut state = state(20, 10);
        let gpu = gpu.map(str::to_owned);
        state.identity = Identity { device: device.to_owned(), gpu, threads, ..state.identity };
        state
    };
    let differences =
        |then: &TrainerState, now: &TrainerState| then.differences(&TrainConfig::default(), &now.identity).unwrap();
    let (t4, a100) = ("NVIDIA T4 (compute capability 7.5)", "NVIDIA A100-SXM4-40GB (compute capability 8.0)");
    let then = on("cuda:0", Some(t4), 8);
    assert_eq!(differences(&then, &on("cuda:0", Some(t4), 96)), Vec::<String>::new());
    let other = "the GPU's model was \"NVIDIA T4 (compute capability 7.5)\", and is \"NVIDIA A100-SXM4-40GB (compute \
                 capability 8.0)\"";
    assert_eq!(differences(&then, &on("cuda:0", Some(a100), 8)), [other]);
    let moved = ["the device was \"cuda:0\", and is \"cpu\""];
    assert_eq!(differences(&then, &on("cpu", None, 2)), moved, "neither the model nor the threads are named too");
    // A state that was saved without the model can't be known to fit.
    let unknown = on("cuda:0", None, 8);
    assert_eq!(differences(&unknown, &then).len(), 1);
    // The state of a training on the CPU has no such field, and one that has it is read back.
    let text = |state: &TrainerState| serde_json::to_string(state).unwrap();
    assert!(!text(&on("cpu", None, 2)).contains("gpu"));
    assert_eq!(TrainerState::parse(text(&then).as_bytes()).unwrap().identity, then.identity);
}

#[test]
fn a_checkpoint_without_a_backend_is_of_the_kernels_on_a_cpu_and_of_an_unknown_one_elsewhere() {
    let backend_on = |device: &str| {
        let mut saved = serde_json::to_value(state(8, 8)).unwrap();
        saved["identity"]["device"] = device.into();
        saved["identity"].as_object_mut().unwrap().remove("backend").unwrap();
        TrainerState::parse(saved.to_string().as_bytes()).unwrap().identity.backend
    };
    assert_eq!(backend_on("cpu").as_deref(), Some("kernels"));
    assert_eq!(backend_on("cuda:0"), None);
}

#[test]
fn another_instruction_set_is_a_difference_where_both_are_known() {
    let state = state(20, 10);
    let with = |name: Option<&str>| Identity { instruction_set: name.map(str::to_owned), ..state.identity.clone() };
    let differences = |identity: &Identity| state.differences(&TrainConfig::default(), identity).unwrap();
    let expected = "the instruction set of the kernels was \"avx512\", and is \"baseline\"";
    assert_eq!(differences(&with(Some("baseline"))), [expected]);
    assert_eq!(differences(&with(Some("avx512"))), Vec::<String>::new());
    assert_eq!(differences(&with(None)), Vec::<String>::new());
    // A state that was saved without it is read.
    let mut text = serde_json::to_value(&state).unwrap();
    assert_eq!(text["identity"].as_object_mut().unwrap().remove("instruction_set"), Some("avx512".into()));
    assert_eq!(TrainerState::parse(text.to_string().as_bytes()).unwrap().identity, with(None));
}
