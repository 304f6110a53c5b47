//! The six functions, and their spaces, of tests/fixtures/tune/make_regret.py.

use std::collections::BTreeMap;
use std::f64::consts::{E, PI};

use tune::space::{Hyperparameter, Space};
use tune::{Distribution, Param, ParamValue};

/// A configuration by name: numbers, and the one text.
pub(crate) type Values = BTreeMap<String, ParamValue>;

/// A function to minimize.
pub(crate) struct Function {
    /// Its name in the fixture.
    pub name: &'static str,
    /// Where to look.
    pub space: Space,
    /// Its value.
    pub value: fn(&Values) -> f64,
}

/// All six.
pub(crate) fn functions() -> Vec<Function> {
    vec![
        Function {
            name: "branin",
            space: space(vec![Hyperparameter::new("x1", line(-5.0, 10.0)), Hyperparameter::new("x2", line(0.0, 15.0))]),
            value: branin,
        },
        Function { name: "hartmann-6", space: cube(0.0, 1.0, 6), value: hartmann },
        Function { name: "rosenbrock-4", space: cube(-5.0, 10.0, 4), value: rosenbrock },
        Function { name: "ackley-5", space: cube(-32.768, 32.768, 5), value: ackley },
        Function { name: "styblinski-tang-4", space: cube(-5.0, 5.0, 4), value: styblinski_tang },
        Function { name: "fine-tuning", space: fine_tuning_space(), value: fine_tuning },
    ]
}

/// What a sampler gave, by name.
pub(crate) fn values(params: &BTreeMap<String, Param>) -> Values {
    params.iter().map(|(name, param)| (name.clone(), param.distribution.to_external(param.internal))).collect()
}

fn space(parameters: Vec<Hyperparameter>) -> Space {
    Space::new(parameters, Default::default()).expect("a space as good as its twin in Python")
}

fn line(low: f64, high: f64) -> Distribution {
    Distribution::Float { low, high, log: false, step: None }
}

fn cube(low: f64, high: f64, dimensions: usize) -> Space {
    space((1..=dimensions).map(|index| Hyperparameter::new(format!("x{index}"), line(low, high))).collect())
}

fn number(x: &Values, name: &str) -> f64 {
    match x[name] {
        ParamValue::Float(number) => number,
        ParamValue::Int(number) => number as f64,
        _ => f64::NAN,
    }
}

fn numbers(x: &Values) -> Vec<f64> {
    (1..=x.len()).map(|index| number(x, &format!("x{index}"))).collect()
}

fn branin(x: &Values) -> f64 {
    let (a, b) = (number(x, "x1"), number(x, "x2"));
    let bow = b - 5.1 / (4.0 * PI * PI) * a * a + 5.0 / PI * a - 6.0;
    bow * bow + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * a.cos() + 10.0
}

const HARTMANN: [(f64, [f64; 6], [f64; 6]); 4] = [
    (1.0, [10.0, 3.0, 17.0, 3.5, 1.7, 8.0], [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886]),
    (1.2, [0.05, 10.0, 17.0, 0.1, 8.0, 14.0], [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991]),
    (3.0, [3.0, 3.5, 1.7, 10.0, 17.0, 8.0], [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650]),
    (3.2, [17.0, 8.0, 0.05, 10.0, 0.1, 14.0], [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381]),
];

fn hartmann(x: &Values) -> f64 {
    let x = numbers(x);
    let hole = |(weight, scales, centers): &(f64, [f64; 6], [f64; 6])| {
        let distance: f64 = (0..6).map(|index| scales[index] * (x[index] - centers[index]).powi(2)).sum();
        weight * (-distance).exp()
    };
    -HARTMANN.iter().map(hole).sum::<f64>()
}

fn rosenbrock(x: &Values) -> f64 {
    numbers(x).windows(2).map(|pair| 100.0 * (pair[1] - pair[0] * pair[0]).powi(2) + (1.0 - pair[0]).powi(2)).sum()
}

fn ackley(x: &Values) -> f64 {
    let x = numbers(x);
    let count = x.len() as f64;
    let squares = x.iter().map(|v| v * v).sum::<f64>() / count;
    let waves = x.iter().map(|v| (2.0 * PI * v).cos()).sum::<f64>() / count;
    20.0 + E - 20.0 * (-0.2 * squares.sqrt()).exp() - waves.exp()
}

fn styblinski_tang(x: &Values) -> f64 {
    numbers(x).iter().map(|v| v.powi(4) - 16.0 * v * v + 5.0 * v).sum::<f64>() / 2.0
}

fn text(text: &str) -> ParamValue {
    ParamValue::Str(text.to_owned())
}

fn fine_tuning_space() -> Space {
    let choices = |choices: Vec<ParamValue>| Distribution::Categorical { choices };
    let log = |low, high| Distribution::Float { low, high, log: true, step: None };
    space(vec![
        Hyperparameter::new("optimizer", choices(["adamw", "sgd", "lion"].map(text).into())),
        Hyperparameter::new("learning_rate", log(1e-7, 1.0)),
        Hyperparameter::new("batch_size", choices([8, 16, 32, 64].map(ParamValue::Int).into())),
        Hyperparameter::new("epochs", Distribution::Int { low: 1, high: 8, log: false, step: 1 }),
        Hyperparameter::new("dropout", Distribution::Float { low: 0.0, high: 0.5, log: false, step: Some(0.05) }),
        Hyperparameter::new("weight_decay", log(1e-5, 1.0)).when("optimizer", [text("adamw")]),
        Hyperparameter::new("momentum", line(0.0, 0.99)).when("optimizer", [text("sgd")]),
    ])
}

fn fine_tuning(x: &Values) -> f64 {
    let ParamValue::Str(optimizer) = &x["optimizer"] else { return f64::NAN };
    let best = match optimizer.as_str() {
        "adamw" => -4.0,
        "sgd" => -1.5,
        _ => -5.0,
    };
    let best = best + 0.3 * (number(x, "batch_size") / 16.0).log2();
    let loss = 0.4 * (number(x, "learning_rate").log10() - best).powi(2)
        + 0.05 * (number(x, "epochs") - 4.0).powi(2)
        + 4.0 * (number(x, "dropout") - 0.15).powi(2);
    loss + match optimizer.as_str() {
        "adamw" => 0.05 * (number(x, "weight_decay").log10() + 2.0).powi(2),
        "sgd" => 0.1 + 1.5 * (number(x, "momentum") - 0.9).powi(2),
        _ => 0.05,
    }
}
