use super::super::process::tests::STEP_FIELDS;
use super::*;

fn timeline() -> Timeline {
    let seconds = (1..=100).map(|step| f64::from(step) * 0.01).collect();
    Timeline::new(seconds, 50, Some(10), Duration::from_secs(60))
}

fn plans(situation: Situation) -> Vec<KillPlan> {
    let seen = Seen { startups: vec![Duration::from_millis(100)], saves: vec![Duration::from_millis(5)] };
    let mut random = SplitMix64(7);
    (0..300).map(|_| plan_kill(&mut random, &situation, &timeline(), &seen)).collect()
}

const FRESH: Situation =
    Situation { resumed: false, checkpoint: 0, stalled: 0, saves_wanted: false, recoveries_wanted: false };

#[test]
fn a_fresh_run_is_killed_at_its_start_in_training_and_in_saves() {
    let plans = plans(FRESH);
    let saves = plans.iter().filter(|plan| matches!(plan, KillPlan::AfterSaveBegins { .. })).count();
    let most = Duration::from_millis(10);
    assert!((50..130).contains(&saves), "{saves}");
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
    let recoveries = |plans: &[KillPlan]| plans.iter().filter(|plan| matches!(plan, KillPlan::AfterStart(_))).count();
    let wanted = plans(Situation { resumed: true, checkpoint: 50, recoveries_wanted: true, ..FRESH });
    let plans = plans(Situation { resumed: true, checkpoint: 50, ..FRESH });
    assert!((10..60).contains(&recoveries(&plans)) && recoveries(&wanted) > 100, "{plans:?}");
    assert!(plans.iter().all(|plan| !matches!(plan, KillPlan::AfterStep(step, _) if !(50..=70).contains(step))));
}

#[test]
fn a_run_that_gets_nowhere_is_given_more_time_each_life() {
    for (stalled, awaited) in [(3, 20), (5, 40), (50, 100)] {
        let plans = plans(Situation { resumed: true, stalled, ..FRESH });
        assert!(plans.iter().all(|plan| matches!(plan, KillPlan::AfterStep(step, _) if *step == awaited)), "{stalled}");
    }
}

#[test]
fn a_run_that_only_has_to_end_is_killed_in_recovery_and_then_let_go() {
    let end = Situation { resumed: true, checkpoint: 100, ..FRESH };
    assert!(plans(end).iter().all(|plan| matches!(plan, KillPlan::AfterStart(_))));
    assert!(plans(Situation { stalled: 2, ..end }).iter().all(|plan| *plan == KillPlan::Undisturbed));
}

#[test]
fn checkpoints_are_due_every_so_often_at_epochs_ends_and_at_the_end() {
    let of = |save_every| Timeline::new(vec![0.0; 25], 10, save_every, Duration::ZERO);
    let timeline = of(Some(4));
    assert_eq!((&timeline.due[..], timeline.interval), (&[4, 8, 10, 12, 16, 20, 24, 25][..], 4));
    assert_eq!((timeline.due_between(8, 10), timeline.due_between(8, 13), timeline.due_between(0, 5)), (0, 2, 1));
    assert_eq!((&of(None).due[..], of(None).interval), (&[10, 20, 25][..], 10));
    assert_eq!(of(Some(1000)).due, of(None).due);
}

#[test]
fn a_step_takes_until_the_next_one() {
    let timeline = timeline();
    assert_eq!((timeline.at(0), timeline.at(100), timeline.at(400)), (0.0, 1.0, 1.0));
    for step in [0, 50, 99, 100, 101] {
        assert!((timeline.after(step).as_secs_f64() - 0.01).abs() < 1e-9, "{step}");
    }
}

/// A trainer of 30 steps in shell that saves after every fifth, and goes on from its newest checkpoint.
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
fn kills_are_placed_of_every_kind_and_the_runs_still_end() {
    let work = tempfile::tempdir().unwrap();
    let command = |run: &Path, _resume: bool| {
        let mut command = Command::new("sh");
        command.args(["-c", &TRAINER.replace("FIELDS", STEP_FIELDS), "sh"]).arg(run);
        command
    };
    let seconds = (1..=30).map(|step| f64::from(step) * 0.004).collect();
    let timeline = Timeline::new(seconds, 10, Some(5), Duration::from_secs(60));
    let random = SplitMix64(3);
    let mut killer =
        Killer { command: &command, timeline, seen: Seen::default(), wanted: 16, random, kills: Vec::new() };
    let runs = killer.run(work.path()).unwrap();
    assert_eq!(killer.kills.len(), 16);
    for run in runs {
        assert_eq!((last_step(&run), newest_step(&run)), (Some(30), 30), "{}", run.display());
    }
    let count = |kind: Kind| killer.kills.iter().filter(|kill| kill.kind == kind).count();
    let counts = [Kind::Training, Kind::Saving, Kind::Recovering].map(count);
    assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
    for kill in &killer.kills {
        assert!(kill.lost_saves <= 1 && kill.lost_steps <= 5, "{kill:?}");
    }
}
