//! Progress on stderr: on a terminal a bar with speed and remaining time; otherwise a line at the start, at about every
//! tenth of the run and after each evaluation, so that a log file stays readable.

use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use indicatif::{FormattedDuration, ProgressBar, ProgressStyle};

use run::{EndReason, EndRecord, EvaluationRecord, Event, StartRecord, StepRecord};

use super::{Notice, Observer};

/// The shortest duration in seconds for which a save is reported.
const SLOW_SAVE: f64 = 2.0;

/// Decay of the moving averages of the displayed loss and speed.
const EMA_DECAY: f64 = 0.95;

/// Prints the progress of a run.
pub(crate) struct Progress {
    form: Form,
    epochs: u64,
    loss: MovingAverage,
    speed: MovingAverage,
}

enum Form {
    Bar(ProgressBar),
    Lines(Box<dyn Write>),
}

impl Progress {
    /// A bar if stderr is a terminal, otherwise lines.
    pub(super) fn on_stderr() -> Self {
        if stderr().is_terminal() {
            Self::with(Form::Bar(ProgressBar::new(0)))
        } else {
            Self::with(Form::Lines(Box::new(stderr())))
        }
    }

    /// Lines to any writer.
    #[cfg(test)]
    pub(super) fn lines(writer: impl Write + 'static) -> Self {
        Self::with(Form::Lines(Box::new(writer)))
    }

    fn with(form: Form) -> Self {
        Self { form, epochs: 0, loss: MovingAverage::default(), speed: MovingAverage::default() }
    }

    /// Prints a line, above the bar if there is one. Ignores write errors, so that a closed stderr does not stop
    /// training.
    fn print_line(&mut self, line: &str) {
        match &mut self.form {
            Form::Bar(bar) => bar.println(line),
            Form::Lines(writer) => drop(writeln!(writer, "{line}")),
        }
    }

    /// Sets the message of the bar, if there is one.
    fn set_bar_message(&self, what: &str) {
        if let Form::Bar(bar) = &self.form {
            bar.set_message(what.to_owned());
        }
    }

    fn on_start(&mut self, start: &StartRecord) {
        self.epochs = start.epochs;
        if let Form::Bar(bar) = &self.form {
            bar.set_style(bar_style());
            bar.set_length(start.total_steps);
            bar.set_position(start.steps_done);
            bar.reset_eta();
            bar.enable_steady_tick(Duration::from_millis(250));
        }
        self.print_line(&describe(start));
    }

    fn on_step(&mut self, step: &StepRecord) {
        self.loss.add(step.loss);
        self.speed.add(step.examples_per_second);
        let (loss, speed) = (self.loss.value(), rate(self.speed.value()));
        let figures = format!("loss {loss:.4}, lr {:.2e}, {speed} examples/s", step.learning_rate);
        match &self.form {
            Form::Bar(bar) => {
                bar.set_prefix(format!("epoch {}/{}", epoch_at(step, self.epochs), self.epochs));
                bar.set_message(figures);
                bar.set_position(step.step);
            }
            Form::Lines(_)
                if tenth(step.step, step.total_steps) > tenth(step.step.saturating_sub(1), step.total_steps) =>
            {
                let (number, total, percent) = (step.step, step.total_steps, 100 * step.step / step.total_steps.max(1));
                let left = FormattedDuration(time_left(step));
                self.print_line(&format!(
                    "step {number}/{total} ({percent} %), epoch {:.2}: {figures}, {left} left",
                    step.epoch
                ));
            }
            Form::Lines(_) => {}
        }
    }

    fn on_end(&mut self, end: &EndRecord) {
        if let Form::Bar(bar) = &self.form {
            bar.disable_steady_tick();
            bar.set_message("");
            bar.abandon(); // keeps the bar where it stopped
        }
        self.print_line(&describe_end(end));
    }
}

impl Observer for Progress {
    fn notify(&mut self, notice: &Notice<'_>) {
        match notice {
            Notice::Record(Event::Start(start)) => self.on_start(start),
            Notice::Record(Event::Step(step)) => self.on_step(step),
            Notice::Record(Event::Evaluation(evaluation)) => self.print_line(&describe_evaluation(evaluation)),
            Notice::Record(Event::End(end)) => self.on_end(end),
            Notice::EvaluationStarts { split } => self.set_bar_message(&format!("evaluating on {split}")),
            Notice::SaveStarts => self.set_bar_message("saving"),
            Notice::Saved { step, seconds } if *seconds >= SLOW_SAVE => {
                self.print_line(&format!("step {step}: saved in {seconds:.1} s"));
            }
            Notice::Saved { .. } => {}
        }
    }
}

fn bar_style() -> ProgressStyle {
    let template = "{prefix} {bar:24} {pos}/{len}  {msg}  {elapsed_precise} gone, {eta_precise} left";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn describe(start: &StartRecord) -> String {
    let StartRecord { run, dataset, model, device, precision, train_examples, epochs, steps_done, total_steps, .. } =
        start;
    let trained = match 100.0 * start.trainable_parameters as f64 / start.parameters.max(1) as f64 {
        share if start.trainable_parameters < start.parameters => {
            format!(", {share:.0} % of it trained")
        }
        _ => String::new(),
    };
    let from = if *steps_done > 0 { format!(" from step {steps_done}") } else { String::new() };
    format!(
        "training {model} ({:.1} M parameters{trained}) on {dataset} ({train_examples} examples) in {precision} on \
         {device}: {epochs} epochs, {total_steps} steps{from}, into {}",
        start.parameters as f64 / 1e6,
        run.display()
    )
}

fn describe_evaluation(evaluation: &EvaluationRecord) -> String {
    let scores: String = evaluation.scores.0.iter().map(|(name, value)| format!(", {name} {value:.4}")).collect();
    let EvaluationRecord { epoch, step, split, loss, seconds, best, .. } = evaluation;
    let best = if *best { ", the best so far" } else { "" };
    format!("epoch {epoch:.2}, step {step}: {split} loss {loss:.4}{scores}{best} ({seconds:.1} s)")
}

fn describe_end(end: &EndRecord) -> String {
    let why = match end.reason {
        EndReason::Finished => "finished",
        EndReason::MaxSteps => "stopped at --max-steps",
        EndReason::EarlyStopping => "stopped early, evaluations no longer got better",
        EndReason::Interrupted => "interrupted",
    };
    let kept = end.best.as_ref().map_or(String::new(), |best| {
        format!("; kept the model of epoch {:.2}, step {} ({} {:.4})", best.epoch, best.step, best.metric, best.value)
    });
    let time = FormattedDuration(seconds(end.seconds));
    format!("{why} after {:.2} epochs, {} steps, {time}{kept}", end.epoch, end.step)
}

/// The epoch that a step belongs to, from 1: the last step of an epoch is exactly at its end.
fn epoch_at(step: &StepRecord, epochs: u64) -> u64 {
    (step.epoch.ceil() as u64).clamp(1, epochs.max(1))
}

/// How many tenths of the run are done.
fn tenth(step: u64, total_steps: u64) -> u64 {
    10 * step / total_steps.max(1)
}

/// The remaining time, from the mean time per step so far.
fn time_left(step: &StepRecord) -> Duration {
    let pace = step.seconds / step.step.max(1) as f64;
    seconds(pace * step.total_steps.saturating_sub(step.step) as f64)
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// A speed with about three digits.
fn rate(per_second: f64) -> String {
    if per_second < 10.0 { format!("{per_second:.1}") } else { format!("{per_second:.0}") }
}

/// An exponential moving average with bias correction; ignores values that are not finite.
#[derive(Default)]
struct MovingAverage {
    sum: f64,
    weight: f64,
}

impl MovingAverage {
    fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.sum = EMA_DECAY * self.sum + (1.0 - EMA_DECAY) * value;
            self.weight = EMA_DECAY * self.weight + (1.0 - EMA_DECAY);
        }
    }

    /// The mean, NaN before the first value.
    fn value(&self) -> f64 {
        self.sum / self.weight
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io;
    use std::rc::Rc;

    use run::{Best, samples};

    use super::*;

    /// A writer whose output the test can read.
    #[derive(Clone, Default)]
    struct SharedBuffer(Rc<RefCell<Vec<u8>>>);

    impl Write for SharedBuffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines of a run of `total` steps from `first` on.
    fn lines(first: u64, total: u64) -> Vec<String> {
        let buffer = SharedBuffer::default();
        let mut progress = Progress::lines(buffer.clone());
        progress.on_start(&StartRecord { total_steps: total, steps_done: first - 1, ..samples::start() });
        for number in first..=total {
            let seconds = number as f64 * 0.5;
            progress.on_step(&StepRecord { total_steps: total, seconds, ..samples::step(number) });
        }
        progress.notify(&Notice::Record(&Event::Evaluation(samples::evaluation())));
        progress.on_end(&samples::end());
        String::from_utf8(buffer.0.take()).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_log_has_a_line_per_tenth_and_per_evaluation() {
        let lines = lines(1, 1299);
        assert_eq!(lines.len(), 1 + 10 + 1 + 1);
        assert_eq!(
            lines[0],
            "training bert-base-uncased (109.5 M parameters) on sst2 (6920 examples) in fp32 on cpu: 3 epochs, \
             1299 steps, into runs/a"
        );
        assert_eq!(lines[1], "step 130/1299 (10 %), epoch 0.30: loss 0.5000, lr 1.50e-5, 32 examples/s, 00:09:44 left");
        assert!(lines[10].starts_with("step 1299/1299 (100 %), epoch 3.00: ") && lines[10].ends_with("00:00:00 left"));
        assert_eq!(
            lines[11],
            "epoch 1.00, step 433: validation loss 0.3750, accuracy 0.8750, f1 0.8125, the best so far (4.5 s)"
        );
        assert_eq!(
            lines[12],
            "stopped early, evaluations no longer got better after 2.00 epochs, 866 steps, 00:07:13; kept the model of \
             epoch 1.00, step 433 (accuracy 0.8750)"
        );
    }

    #[test]
    fn a_short_run_has_at_most_one_line_per_step() {
        assert_eq!(lines(1, 3).len(), 1 + 3 + 2);
    }

    #[test]
    fn only_slow_saves_are_reported() {
        let buffer = SharedBuffer::default();
        let mut progress = Progress::lines(buffer.clone());
        for (step, seconds) in [(10, 0.7), (20, 2.25), (30, 1.99)] {
            progress.notify(&Notice::SaveStarts);
            progress.notify(&Notice::Saved { step, seconds });
        }
        assert_eq!(String::from_utf8(buffer.0.take()).unwrap(), "step 20: saved in 2.2 s\n");
    }

    #[test]
    fn a_resumed_run_reports_steps_and_time_left_from_its_start() {
        let lines = lines(901, 1000);
        assert!(lines[0].contains("1000 steps from step 900"), "{}", lines[0]);
        assert_eq!(lines.len(), 1 + 1 + 2);
        let half_way = StepRecord { total_steps: 1000, seconds: 475.0, ..samples::step(950) };
        assert_eq!(time_left(&half_way), Duration::from_secs(25));
    }

    #[test]
    fn the_bar_shows_epoch_position_and_figures() {
        let bar = ProgressBar::hidden();
        let mut progress = Progress::with(Form::Bar(bar.clone()));
        progress.on_start(&samples::start());
        progress.on_step(&samples::step(433));
        assert_eq!((bar.position(), bar.length(), bar.prefix().as_str()), (433, Some(1299), "epoch 1/3"));
        assert_eq!(bar.message(), "loss 0.5000, lr 1.50e-5, 32 examples/s");
        progress.on_step(&samples::step(434));
        assert_eq!(bar.prefix(), "epoch 2/3");
        progress.notify(&Notice::EvaluationStarts { split: "validation" });
        assert_eq!(bar.message(), "evaluating on validation");
        progress.notify(&Notice::SaveStarts);
        assert_eq!(bar.message(), "saving");
        progress.on_end(&EndRecord { best: None, ..samples::end() });
        assert!(bar.is_finished() && bar.position() == 434);
    }

    #[test]
    fn frozen_parameters_and_each_end_reason_are_reported() {
        let start = StartRecord { parameters: 1_000_000, trainable_parameters: 250_000, ..samples::start() };
        assert!(describe(&start).contains("(1.0 M parameters, 25 % of it trained)"));
        let end = |reason| describe_end(&EndRecord { reason, best: None::<Best>, ..samples::end() });
        assert_eq!(end(EndReason::Finished), "finished after 2.00 epochs, 866 steps, 00:07:13");
        assert!(end(EndReason::MaxSteps).starts_with("stopped at --max-steps after"));
        assert!(end(EndReason::Interrupted).starts_with("interrupted after"));
    }

    #[test]
    fn the_smoothed_loss_is_unbiased_and_ignores_values_that_are_not_finite() {
        let mut loss = MovingAverage::default();
        loss.add(f64::NAN);
        assert!(loss.value().is_nan());
        loss.add(0.8);
        loss.add(f64::INFINITY);
        assert!((loss.value() - 0.8).abs() < 1e-12);
        loss.add(0.4);
        assert!(loss.value() < 0.8 && loss.value() > 0.4);
    }
}
