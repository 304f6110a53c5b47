use super::super::process::tests::STEP_FIELDS;
use super::*;

/// A hundred steps of 10 ms with a checkpoint after every tenth.
fn timeline() -> Timeline {
    Timeline {
        seconds: (1..=100).map(|step| f64::from(step) * 0.01).collect(),
        due: steps_of_saves(100, 50, Some(10)),
        startup: Duration::from_millis(100),
        save: Duration::from_millis(5),
        timeout: Duration::from_secs(60),
    }
}

fn no_command(_: &Path, _: bool) -> Result<Command> {
    panic!("nothing is started")
}

fn killer(kinds: &[KillMoment]) -> Killer<'static> {
    let kill = |kind: &KillMoment| Kill {
        run: 1,
        kind: *kind,
        logged_step: 0,
        checkpoint_step: 0,
        lost_steps: 0,
        lost_saves: 0,
    };
    let kills = kinds.iter().map(kill).collect();
    Killer { command: &no_command, timeline: timeline(), target: 300, random: SeededRandom(7), kills }
}

/// What is planned for a run with this checkpoint, stalled for so many lives, after kills of these kinds.
fn plans(checkpoint: u64, stalled: u64, kinds: &[KillMoment]) -> Vec<KillPlan> {
    let mut killer = killer(kinds);
    (0..300).map(|_| killer.plan(checkpoint, stalled)).collect()
}

fn recoveries(plans: &[KillPlan]) -> usize {
    plans.iter().filter(|plan| matches!(plan, KillPlan::AfterStart(_))).count()
}

#[test]
fn a_fresh_run_is_killed_at_its_start_in_training_and_in_saves() {
    let plans = plans(0, 0, &[]);
    let saves = plans.iter().filter(|plan| matches!(plan, KillPlan::AfterSaveBegins { .. })).count();
    let most = Duration::from_millis(10);
    assert!((100..250).contains(&saves) && recoveries(&plans) > 10 && saves + recoveries(&plans) < 290, "{saves}");
    for plan in plans {
        match plan {
            KillPlan::AfterStep(step, delay) => assert!((1..=33).contains(&step) && delay <= most, "{plan:?}"),
            KillPlan::AfterStart(delay) => assert!(delay < 12 * most, "{plan:?}"),
            KillPlan::AfterSaveBegins { skip, delay } => assert!(skip < 3 && delay < most, "{plan:?}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_resumed_run_is_killed_in_recovery_too_and_later_than_it_stands() {
    let plans = plans(50, 0, &[]);
    assert!(recoveries(&plans) > 10, "{plans:?}");
    assert!(plans.iter().all(|plan| !matches!(plan, KillPlan::AfterStep(step, _) if !(51..=70).contains(step))));
}

#[test]
fn a_moment_that_was_hit_too_rarely_is_chosen() {
    use KillMoment::{Recovering, Saving, Training};
    for (hit, missed) in
        [([Training, Saving], Recovering), ([Training, Recovering], Saving), ([Saving, Recovering], Training)]
    {
        let mut killer = killer(&hit.repeat(5));
        assert!((0..300).all(|_| killer.choose_moment() == missed), "{missed:?}");
    }
}

#[test]
fn a_run_without_progress_gets_more_time_after_each_kill() {
    for (stalled, awaited) in [(3, 20), (5, 40), (50, 100)] {
        let plans = plans(0, stalled, &[]);
        assert!(plans.iter().all(|plan| matches!(plan, KillPlan::AfterStep(step, _) if *step == awaited)), "{stalled}");
    }
}

#[test]
fn a_completed_run_is_killed_in_recovery_once_and_then_finishes() {
    assert_eq!(recoveries(&plans(100, 0, &[])), 300);
    assert!(plans(100, 2, &[]).iter().all(|plan| *plan == KillPlan::Uninterrupted));
}

#[test]
fn checkpoints_are_due_at_intervals_at_epoch_ends_and_at_the_end() {
    let of = |save_every| Timeline { seconds: vec![0.0; 25], due: steps_of_saves(25, 10, save_every), ..timeline() };
    let four = of(Some(4));
    assert_eq!((&four.due[..], four.interval()), (&[4, 8, 10, 12, 16, 20, 24, 25][..], 4));
    assert_eq!((four.due_between(8, 10), four.due_between(8, 13), four.due_between(0, 5)), (0, 2, 1));
    assert_eq!((&of(None).due[..], of(None).interval()), (&[10, 20, 25][..], 10));
    assert_eq!(of(Some(1000)).due, of(None).due);
}

#[test]
fn a_step_takes_until_the_next_one() {
    let timeline = timeline();
    for step in [0, 50, 99, 100, 101] {
        assert!((timeline.after(step).as_secs_f64() - 0.01).abs() < 1e-9, "{step}");
    }
}

#[test]
fn a_seed_repeats_its_numbers_and_bounds_hold() {
    let numbers = |seed| {
        let mut random = SeededRandom(seed);
        (0..1000).map(|_| random.below(7)).collect::<Vec<_>>()
    };
    assert!((0..7).all(|number| numbers(0).contains(&number)) && numbers(0).iter().all(|&number| number < 7));
    assert!(numbers(0) == numbers(0) && numbers(0) != numbers(1));
    assert_eq!(SeededRandom(0).below(0), 0);
}

/// A trainer of 30 steps in shell that saves after every fifth, and continues from its newest checkpoint.
const TRAINER: &str = r#"
    mkdir -p $1/checkpoints; cd $1; rm -rf checkpoints/.unfinished-*
    step=$(ls checkpoints | tail -n 1); step=${step#step-}; step=$((${step:-0}))
    touch log.jsonl; head -n $step log.jsonl > cut; cat cut > log.jsonl
    while [ $step -lt 30 ]; do
        step=$((step + 1)); sleep 0.002
        echo "{\"event\":\"step\",\"step\":$step,FIELDS}" >> log.jsonl
        if [ $((step % 5)) = 0 ]; then
            new=checkpoints/.unfinished-step-$step; mkdir $new; sleep 0.01; touch $new/SHA256SUMS
            mv $new checkpoints/step-$(printf %08d $step)
        fi
    done"#;

#[test]
fn every_kind_of_kill_occurs_and_the_runs_finish() {
    let work = tempfile::tempdir().unwrap();
    let command = |run: &Path, _resume: bool| {
        let mut command = Command::new("sh");
        command.args(["-c", &TRAINER.replace("FIELDS", STEP_FIELDS), "sh"]).arg(run);
        Ok(command)
    };
    let timeline = Timeline {
        seconds: (1..=30).map(|step| f64::from(step) * 0.004).collect(),
        due: steps_of_saves(30, 10, Some(5)),
        startup: Duration::from_millis(20),
        save: Duration::from_millis(12),
        timeout: Duration::from_secs(60),
    };
    let mut killer = Killer { command: &command, timeline, target: 16, random: SeededRandom(3), kills: Vec::new() };
    let runs = killer.run(work.path()).unwrap();
    assert_eq!(killer.kills.len(), 16);
    for run in runs {
        assert_eq!((last_step(&run), newest_step(&run)), (Some(30), 30), "{}", run.display());
    }
    let counts = [KillMoment::Training, KillMoment::Saving, KillMoment::Recovering].map(|kind| killer.count(kind));
    assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
    for kill in &killer.kills {
        assert!(kill.lost_saves <= 1 && kill.lost_steps <= 5, "{kill:?}");
    }
}
