"""Optuna at the other end of a journal, for tests/optuna.rs.

    optuna_peer.py read JOURNAL STUDY            prints the study as JSON
    optuna_peer.py write JOURNAL STUDY           begins a study with a bit of everything, printed afterwards
    optuna_peer.py go-on JOURNAL STUDY           goes on with a study: the queue first, then its sampler; printed afterwards
    optuna_peer.py many JOURNAL STUDY LOCK N     runs N trials; LOCK is `link` or `file`
    optuna_peer.py columns JOURNAL STUDY         prints the columns of trials_dataframe, or `no pandas`
"""

import json
import math
import sys
import warnings
from datetime import timezone

import optuna
from optuna.distributions import distribution_to_json
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalFileSymlinkLock
from optuna.trial import TrialState

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.simplefilter("ignore")


def storage(path, lock="link"):
    kinds = {"link": JournalFileSymlinkLock, "file": JournalFileOpenLock}
    return JournalStorage(JournalFileBackend(path, lock_obj=kinds[lock](path)))


def number(value):
    """As a word, because JSON has no word for some of them."""
    return None if value is None else repr(float(value))


def time(value):
    return None if value is None else value.astimezone(timezone.utc).isoformat(timespec="microseconds")


def tagged(value):
    return [type(value).__name__, repr(value) if isinstance(value, float) else str(value)]


def words(value):
    """Attributes, with the numbers that JSON lacks as words."""
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    if isinstance(value, dict):
        return {key: words(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [words(item) for item in value]
    return value


def show(study):
    trials = [
        {
            "number": trial.number,
            "state": trial.state.name,
            "value": number(trial.value),
            "params": {name: tagged(value) for name, value in trial.params.items()},
            "distributions": {name: distribution_to_json(d) for name, d in trial.distributions.items()},
            "intermediate": {str(step): number(value) for step, value in trial.intermediate_values.items()},
            "user_attrs": words(trial.user_attrs),
            "system_attrs": words(trial.system_attrs),
            "started": time(trial.datetime_start),
            "completed": time(trial.datetime_complete),
        }
        for trial in study.trials
    ]
    complete = any(trial.state == TrialState.COMPLETE for trial in study.trials)
    print(
        json.dumps(
            {
                "direction": study.direction.name,
                "user_attrs": study.user_attrs,
                "best": study.best_trial.number if complete else None,
                "trials": trials,
            }
        )
    )


def space(trial):
    return (
        trial.suggest_float("rate", 1e-6, 1e-2, log=True),
        trial.suggest_float("dropout", 0.0, 0.5, step=0.1),
        trial.suggest_float("decay", -1.0, 1.0),
        trial.suggest_int("layers", 1, 12, step=2),
        trial.suggest_int("batch", 1, 64, log=True),
        trial.suggest_categorical("kind", ["a", "ü \" \\", None, True, 2, 0.5, math.inf]),
    )


def write(path, name):
    study = optuna.create_study(storage=storage(path), study_name=name, direction="minimize")
    study.set_user_attr("note", {"a": [1, "ö"]})
    for value in (0.25, 0.125, 1e300):
        trial = study.ask()
        space(trial)
        trial.report(value * 2, step=1)
        trial.report(math.nan, step=2)
        trial.report(-math.inf, step=30)
        trial.set_user_attr("run", f"runs/{trial.number}")
        trial.set_user_attr("odd", [math.nan, {"x": math.inf}, 2**70])
        study.tell(trial, value)
    trial = study.ask()
    space(trial)
    trial.report(0.5, step=4)
    study.tell(trial, state=TrialState.PRUNED)
    study.tell(study.ask(), state=TrialState.FAIL)
    study.tell(study.ask(), -math.inf)
    study.enqueue_trial({"rate": 1e-3, "kind": None, "layers": 3}, user_attrs={"from": "me"})
    trial = study.ask()
    space(trial)
    study.enqueue_trial({"rate": 1e-4, "kind": "a"})
    study.add_trial(
        optuna.create_trial(
            value=3.5,
            params={"x": 2, "y": 0.5},
            distributions={
                "x": optuna.distributions.IntDistribution(0, 4),
                "y": optuna.distributions.CategoricalDistribution([0.5, True, None]),
            },
            user_attrs={"added": True},
            intermediate_values={0: 1.0, 7: math.nan},
        )
    )
    show(study)


def go_on(path, name):
    study = optuna.load_study(storage=storage(path), study_name=name, sampler=optuna.samplers.TPESampler(seed=1))
    before = len(study.trials)
    waiting = sum(trial.state == TrialState.WAITING for trial in study.trials)
    for index in range(waiting + 3):
        trial = study.ask()
        assert index >= waiting or trial.number < before, "the queue comes first"
        rate = trial.suggest_float("rate", 1e-6, 1e-2, log=True)
        trial.suggest_categorical("kind", ["a", "ü \" \\", None, True, 2, 0.5, math.inf])
        trial.report(rate, step=1)
        study.tell(trial, 0.5 + rate)
    show(study)


def many(path, name, lock, count):
    study = optuna.load_study(storage=storage(path, lock), study_name=name)
    for index in range(int(count)):
        trial = study.ask()
        trial.suggest_float("rate", 0.0, 1.0)
        trial.set_user_attr("theirs", index)
        study.tell(trial, index)


def columns(path, name):
    study = optuna.load_study(storage=storage(path), study_name=name)
    try:
        frame = study.trials_dataframe(attrs=tuple(
            "number value datetime_start datetime_complete duration params user_attrs state".split()
        ))
    except ImportError:
        print("no pandas")
    else:
        print(",".join(frame.columns))


def main():
    command, path, name, *rest = sys.argv[1:]
    if command == "read":
        show(optuna.load_study(storage=storage(path), study_name=name))
    else:
        {"write": write, "go-on": go_on, "many": many, "columns": columns}[command](path, name, *rest)


main()
