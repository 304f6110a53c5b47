use std::collections::BTreeMap;
use std::path::Path;

use toml::Value;

use super::*;

const NAMES: [&str; 12] = [
    "learning_rate",
    "batch_size",
    "epochs",
    "warmup_ratio",
    "weight_decay",
    "hidden_dropout",
    "layer_decay",
    "optimizer",
    "momentum",
    "seed",
    "class_weights",
    "freeze_embeddings",
];

/// What `train` takes, in small.
fn check(name: &str, value: &Value) -> Result<(), String> {
    let number = value.as_float().or_else(|| value.as_integer().map(|number| number as f64));
    let good = match name {
        "batch_size" | "epochs" | "seed" => value.as_integer().is_some_and(|number| number >= 1),
        "optimizer" => value.as_str().is_some_and(|word| ["adamw", "sgd", "lion"].contains(&word)),
        "freeze_embeddings" => value.is_bool(),
        "class_weights" => value.is_array() || value.is_str(),
        _ => number.is_some_and(|number| (0.0..=1.0).contains(&number)),
    };
    if good { Ok(()) } else { Err(format!("{value} is not allowed (hint: another one)")) }
}

fn parse(text: &str) -> Result<Space, SpaceError> {
    Space::parse(Path::new("space.toml"), text, &SpaceFields { names: &NAMES, check: &check })
}

fn message(text: &str) -> String {
    match parse(text) {
        Ok(space) => panic!("accepted: {space:?}"),
        Err(error) => error.to_string(),
    }
}

fn of(text: &str) -> Distribution {
    parse(text).unwrap().parameters()[0].distribution.clone()
}

fn word(word: &str) -> ParamValue {
    ParamValue::Str(word.to_owned())
}

#[test]
fn every_form_is_read() {
    assert_eq!(
        of("batch_size = [16, 32]"),
        Distribution::Categorical { choices: vec![ParamValue::Int(16), ParamValue::Int(32)] }
    );
    // Among fractions a whole number is a fraction too.
    assert_eq!(
        of("weight_decay = { choices = [0, 0.01] }"),
        Distribution::Categorical { choices: vec![ParamValue::Float(0.0), ParamValue::Float(0.01)] }
    );
    assert_eq!(
        of("learning_rate = { low = 1e-5, high = 1e-3, log = true }"),
        Distribution::Float { low: 1e-5, high: 1e-3, log: true, step: None }
    );
    assert_eq!(
        of("warmup_ratio = { low = 0.0, high = 0.3, step = 0.1 }"),
        Distribution::Float { low: 0.0, high: 0.3, log: false, step: Some(0.1) }
    );
    assert_eq!(of("epochs = { low = 2, high = 4 }"), Distribution::Int { low: 2, high: 4, log: false, step: 1 });
    assert_eq!(
        of("batch_size = { low = 8, high = 32, step = 8 }"),
        Distribution::Int { low: 8, high: 32, log: false, step: 8 }
    );
    assert_eq!(
        of("batch_size = { low = 4, high = 64, log = true }"),
        Distribution::Int { low: 4, high: 64, log: true, step: 1 }
    );
    // Whole ends of an option that takes fractions.
    assert_eq!(
        of("weight_decay = { low = 0, high = 1 }"),
        Distribution::Float { low: 0.0, high: 1.0, log: false, step: None }
    );
    let space = parse("[learning_rate]\nlow = 1e-5\nhigh = 1e-4\npoints = 7\n").unwrap();
    assert_eq!(space.parameters()[0].points, Some(7));
}

#[test]
fn fixed_options_and_parameters_make_a_configuration() {
    let space = parse("seed = 7\nclass_weights = { value = [1.0, 2.5] }\nbatch_size = [16, 32]\n").unwrap();
    assert_eq!(space.parameters().len(), 1);
    let params = space.params(&[Some(1.0)]);
    assert!(space.contains(&params));
    let expected: toml::Table = "seed = 7\nclass_weights = [1.0, 2.5]\nbatch_size = 32".parse().unwrap();
    assert_eq!(space.settings(&params), expected);
}

#[test]
fn conditional_parameters_come_last_and_exist_only_where_active() {
    let space = parse(
        "momentum = { low = 0.8, high = 0.9, when = { optimizer = \"sgd\", epochs = [3, 4] } }\n\
         optimizer = [\"adamw\", \"sgd\"]\nepochs = { low = 2, high = 4 }\nseed = 1\n\
         weight_decay = { value = 0.1, when = { optimizer = \"adamw\", seed = 1 } }\n",
    )
    .unwrap();
    let names: Vec<&str> = space.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
    assert_eq!(names, ["optimizer", "epochs", "momentum", "weight_decay"]);
    // A condition on a fixed option is decided when the file is read.
    assert_eq!(space.parameters()[3].conditions, [Condition { name: "optimizer".into(), values: vec![word("adamw")] }]);

    let there = |optimizer, epochs| {
        let values = [optimizer, epochs, 0.85, 0.0];
        space.fill(|index| values[index]).iter().map(Option::is_some).collect::<Vec<_>>()
    };
    assert_eq!(there(0.0, 3.0), [true, true, false, true]);
    assert_eq!(there(1.0, 3.0), [true, true, true, false]);
    assert_eq!(there(1.0, 2.0), [true, true, false, false]);

    let whole = space.params(&[Some(1.0), Some(3.0), Some(0.85), None]);
    assert!(space.contains(&whole));
    assert!(!space.contains(&space.params(&[Some(1.0), Some(3.0), None, None])));
    assert!(!space.contains(&space.params(&[Some(1.0), Some(2.0), Some(0.85), None])));
    assert!(!space.contains(&space.params(&[Some(1.0), Some(3.0), Some(0.95), None])));
}

#[test]
fn parameters_that_depend_on_inactive_ones_are_inactive() {
    let choices = || Distribution::Categorical { choices: vec![word("a"), word("b")] };
    let parameters = vec![
        Hyperparameter::new("one", choices()),
        Hyperparameter::new("two", choices()).when("one", [word("a")]),
        Hyperparameter::new("three", choices()).when("two", [word("a")]),
    ];
    let space = Space::new(parameters, toml::Table::new()).unwrap();
    assert_eq!(space.fill(|_| 0.0), [Some(0.0), Some(0.0), Some(0.0)]);
    assert_eq!(space.fill(|index| f64::from(index == 0)), [Some(1.0), None, None]);
}

#[test]
fn a_trial_of_another_range_is_understood_by_its_values() {
    let space = parse("batch_size = [16, 32]\nlearning_rate = { low = 1e-5, high = 1e-4, log = true }").unwrap();
    let older = Distribution::Categorical { choices: vec![ParamValue::Int(32), ParamValue::Int(64)] };
    let wider = Distribution::Float { low: 1e-6, high: 1e-2, log: true, step: None };
    let point = |batch, rate| {
        let params = BTreeMap::from([
            ("batch_size".to_owned(), Param { distribution: older.clone(), internal: batch }),
            ("learning_rate".to_owned(), Param { distribution: wider.clone(), internal: rate }),
        ]);
        space.point(&params)
    };
    assert_eq!(point(0.0, 5e-5), [Some(1.0), Some(5e-5)]);
    assert_eq!(point(1.0, 5e-3), [None, None]);
}

#[test]
fn the_default_space_reaches_what_small_models_need() {
    let space = Space::default_space(&SpaceFields { names: &NAMES, check: &check }).unwrap();
    let names: Vec<&str> = space.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
    assert_eq!(
        names,
        ["learning_rate", "batch_size", "epochs", "warmup_ratio", "weight_decay", "hidden_dropout", "layer_decay"]
    );
    let Distribution::Float { low, high, log, .. } = space.parameters()[0].distribution else { panic!("a range") };
    assert!(log && low <= 2e-5 && high >= 2e-4);
    assert!(space.parameters().iter().all(|parameter| grid_values(parameter, 10).is_some()), "a grid takes it");
}

#[test]
fn unknown_keys_are_refused_with_the_nearest() {
    assert_eq!(
        message("epochs = [2, 3]\n\nlearnig_rate = [1e-5]\n"),
        "space.toml, line 3: unknown option \"learnig_rate\" (hint: did you mean \"learning_rate\"?)"
    );
    assert!(message("zzz = 1").starts_with("space.toml, line 1: unknown option \"zzz\" (hint: expected one of "));
    assert_eq!(
        message("epochs = { low = 1, hihg = 3 }"),
        "space.toml, line 1: unknown key of \"epochs\": \"hihg\" (hint: did you mean \"high\"?)"
    );
    assert!(
        message("[epochs]\nlow = 1\nhigh = 3\nscale = 2").starts_with("space.toml, line 4: unknown key of \"epochs\"")
    );
}

#[test]
fn values_that_the_option_refuses_are_refused_with_their_line() {
    let start = "space.toml, line 2, key \"optimizer\": ";
    assert_eq!(
        message("seed = 1\noptimizer = [\"adamw\", \"sdg\"]"),
        format!("{start}\"sdg\" is not allowed (hint: another one)")
    );
    assert!(message("learning_rate = { low = 0.1, high = 5.0 }").contains("5.0 is not allowed"));
    assert!(message("epochs = { low = 1.0, high = 3.0 }").contains("1.0 is not allowed"));
    assert!(message("batch_size = [16]\nseed = -1").contains("line 2, key \"seed\": -1 is not allowed"));
    assert!(message("class_weights = [\"balanced\", [1.0, 2.0]]").contains("expected a number, a string"));
    assert!(message("class_weights = [1.0, 2.0]").contains("1.0 is not allowed"));
}

#[test]
fn more_steps_than_numbers_are_refused() {
    let message = message("learning_rate = { low = 0.0, high = 0.9, step = 1e-7 }");
    assert!(
        message.contains("steps of 1e-7 from 0.0 to 0.9 are more than a million (hint: remove `step`)"),
        "{message}"
    );
}

#[test]
fn impossible_ranges_are_refused_with_a_hint() {
    for (range, found) in [
        ("{ low = 4, high = 2 }", "low 4.0 is above high 2.0 (hint: swap them)"),
        ("{ low = 1, high = 4, step = 2 }", "steps of 2.0 from 1.0 don't reach 4.0 (hint: `high = 3.0`)"),
        ("{ low = 1, high = 4, step = 0 }", "step must be above 0, found 0.0"),
        ("{ low = 1, high = 4, log = true, step = 3 }", "a logarithmic range can't have steps"),
        ("{ low = 1 }", "a range needs `low` and `high`"),
        ("{ high = 1 }", "expected a range, choices or a value"),
        ("{ low = 1, choices = [1] }", "exclude each other"),
        ("{ choices = [1], step = 2 }", "`choices` and `step` exclude each other"),
        ("{ value = 1, points = 2 }", "`value` and `points` exclude each other"),
        ("{ choices = 1 }", "`choices` must be a list"),
        ("{ low = \"one\", high = 4 }", "expected a number as `low`, found \"one\""),
        ("{ low = 1, high = 4, log = 1 }", "expected true or false as `log`, found 1"),
        ("{ low = 1, high = 4, points = 1 }", "expected a whole number of 2 or more as `points`, found 1"),
        ("[]", "expected at least one choice"),
        ("[2, 3, 2]", "the choice 2 is given twice"),
        ("3", "every option has only one value, so there is nothing to search"),
    ] {
        let message = message(&format!("# an epoch\nepochs = {range}\n"));
        assert!(message.starts_with("space.toml, line 2, key \"epochs\": ") && message.contains(found), "{message}");
    }
    assert!(
        message("weight_decay = { low = 0.0, high = 0.1, log = true }")
            .contains("low must be above 0 in a logarithmic range, found 0.0")
    );
}

#[test]
fn impossible_conditions_are_refused_with_a_hint() {
    let optimizers = "optimizer = [\"adamw\", \"sgd\"]\n";
    for (when, found) in [
        ("{ optimizer = \"lion\" }", "`optimizer` is never \"lion\" (hint: it is one of \"adamw\", \"sgd\")"),
        ("{ epochs = 2 }", "it depends on `epochs`, which this file doesn't set"),
        ("{ seed = 2 }", "`seed` is always 1, so this is never used"),
        ("{ weight_decay = 0.1 }", "which is a continuous range"),
        ("{ optimizer = [] }", "a condition needs a value"),
        ("\"sgd\"", "`when` must be a table"),
        ("{ momentum = 0.9 }", "which is a continuous range"),
    ] {
        let message = message(&format!(
            "{optimizers}seed = 1\nweight_decay = {{ low = 0.0, high = 0.1 }}\n\
             momentum = {{ low = 0.8, high = 0.9, when = {when} }}\n"
        ));
        assert!(message.starts_with("space.toml, line 4, key \"momentum\": ") && message.contains(found), "{message}");
    }
    let circle = "epochs = { choices = [2, 3], when = { batch_size = 16 } }\n\
                  batch_size = { choices = [16, 32], when = { epochs = 2 } }\nseed = [1, 2]\n";
    assert!(message(circle).starts_with("the conditions of \"epochs\", \"batch_size\" depend on each other"));
}

#[test]
fn invalid_toml_is_refused_with_the_line() {
    let message = message("epochs = [2, 3]\nbatch_size 16\n");
    assert!(message.starts_with("space.toml, line 2: ") && message.contains("`batch_size 16`"), "{message}");
    let error =
        Space::load(Path::new("nowhere/space.toml"), &SpaceFields { names: &NAMES, check: &check }).unwrap_err();
    assert_eq!(error.to_string(), "failed to read the search space nowhere/space.toml");
}

#[test]
fn spaces_from_code_are_checked_too() {
    let line = |low, high| Distribution::Float { low, high, log: false, step: None };
    let error = |parameters| Space::new(parameters, toml::Table::new()).unwrap_err().to_string();
    assert!(
        error(vec![Hyperparameter::new("a", line(1.0, 0.0))]).starts_with("parameter \"a\": low 1.0 is above high 0.0")
    );
    let twice = vec![Hyperparameter::new("a", line(0.0, 1.0)), Hyperparameter::new("a", line(0.0, 1.0))];
    assert!(error(twice).starts_with("parameter \"a\": it is given twice"));
    let lost = vec![Hyperparameter::new("a", line(0.0, 1.0)).when("b", [word("x")])];
    assert!(error(lost).starts_with("parameter \"a\": it depends on \"b\", which doesn't vary"));
    let choices = Distribution::Categorical { choices: vec![word("x")] };
    let never =
        vec![Hyperparameter::new("a", line(0.0, 1.0)).when("b", [word("y")]), Hyperparameter::new("b", choices)];
    assert!(error(never).contains("it depends on \"b\" being \"y\", which it never is (hint: expected one of \"x\")"));
}

#[test]
fn the_unit_interval_covers_a_range_evenly() {
    let shares = |distribution: &Distribution| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for index in 0..1200 {
            let value = from_unit(distribution, (f64::from(index) + 0.5) / 1200.0);
            assert!(distribution.contains(value), "{value} in {distribution:?}");
            *counts.entry(format!("{value:?}")).or_default() += 1;
        }
        counts
    };
    let steps = shares(&Distribution::Float { low: 0.1, high: 0.4, log: false, step: Some(0.1) });
    assert_eq!(steps, ["0.1", "0.2", "0.3", "0.4"].map(|value| (value.to_owned(), 300)).into());
    let whole = shares(&Distribution::Int { low: -1, high: 3, log: false, step: 2 });
    assert_eq!(whole, ["-1.0", "1.0", "3.0"].map(|value| (value.to_owned(), 400)).into());
    let choices = shares(&Distribution::Categorical { choices: vec![word("a"), word("b")] });
    assert_eq!(choices, ["0.0", "1.0"].map(|value| (value.to_owned(), 600)).into());
    let log = Distribution::Float { low: 1e-4, high: 1e-2, log: true, step: None };
    assert!((from_unit(&log, 0.5) - 1e-3).abs() < 1e-12);
    // 1, 2, 3 reach from 0.5 to 1.5, 2.5 and 3.5.
    let log = shares(&Distribution::Int { low: 1, high: 3, log: true, step: 1 });
    let share = |from: f64, to: f64| (1200.0 * (to / from).ln() / 7.0_f64.ln()).round() as usize;
    assert!(log["1.0"].abs_diff(share(0.5, 1.5)) <= 1 && log["2.0"].abs_diff(share(1.5, 2.5)) <= 1, "{log:?}");
}

#[test]
fn points_cut_a_range_with_both_its_ends() {
    let cut =
        |distribution, points| grid_values(&Hyperparameter { points, ..Hyperparameter::new("a", distribution) }, 1000);
    let log = Distribution::Float { low: 1e-4, high: 1e-2, log: true, step: None };
    let values = cut(log.clone(), Some(3)).unwrap();
    assert!(values[0] == 1e-4 && (values[1] - 1e-3).abs() < 1e-15 && values[2] == 1e-2, "{values:?}");
    assert_eq!(cut(log, None), None);
    let steps = Distribution::Float { low: 0.75, high: 1.0, log: false, step: Some(0.05) };
    assert_eq!(cut(steps.clone(), None).unwrap(), [0.75, 0.8, 0.85, 0.9, 0.95, 1.0]);
    assert_eq!(cut(steps, Some(3)).unwrap(), [0.75, 0.9, 1.0]);
    let whole = Distribution::Int { low: 1, high: 100, log: true, step: 1 };
    assert_eq!(cut(whole.clone(), Some(3)).unwrap(), [1.0, 10.0, 100.0]);
    assert_eq!(cut(whole.clone(), None).unwrap().len(), 100);
    assert_eq!(cut(whole, Some(7)).unwrap(), [1.0, 2.0, 5.0, 10.0, 22.0, 46.0, 100.0]);
    let huge = Distribution::Int { low: 0, high: 5000, log: false, step: 1 };
    assert_eq!(cut(huge, None), None);
}
