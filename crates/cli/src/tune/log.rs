//! A training's `log.jsonl`, followed while it grows.
//!
//! A run that goes on from a checkpoint cuts its log back first, so what was read may be gone later. The last line that
//! was read tells: it holds timings, so it never comes again by chance. Where it isn't there any more, everything is read
//! anew.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::PathBuf;

use serde::Deserialize;

/// What a training has told so far.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    /// How many bytes were read: whole lines only.
    read: u64,
    last_line: Vec<u8>,
    pub told: Told,
}

/// The contents of a log.
#[derive(Debug, Default, PartialEq)]
pub struct Told {
    /// The last step.
    pub step: Option<Step>,
    /// All evaluations, in order.
    pub evaluations: Vec<Evaluation>,
    pub end: Option<End>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Step {
    pub step: u64,
    pub total_steps: u64,
    /// Epochs done, with the fraction of the present one.
    pub epoch: f64,
    /// `None` where it isn't a number.
    pub loss: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Evaluation {
    /// Optimizer steps done.
    pub step: u64,
    /// The figure that decides; `None` where it isn't a number.
    pub value: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct End {
    /// Optimizer steps done.
    pub step: u64,
    pub epoch: f64,
    /// Seconds of training.
    pub seconds: f64,
    pub best: Option<Best>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Best {
    /// `None` where it isn't a number.
    pub value: Option<f64>,
}

#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event {
    Step(Step),
    Evaluation(Evaluation),
    End(End),
    #[serde(other)]
    Other,
}

impl Log {
    pub fn new(path: PathBuf) -> Self {
        Self { path, read: 0, last_line: Vec::new(), told: Told::default() }
    }

    /// Reads what is new. A log that isn't there yet is an empty one.
    pub fn follow(&mut self) -> io::Result<()> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        let seen = self.last_line.len() as u64;
        if length == self.read {
            return Ok(());
        }
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(self.read - seen))?;
        file.read_to_end(&mut bytes)?;
        if bytes.starts_with(&self.last_line) {
            bytes.drain(..self.last_line.len());
        } else {
            *self = Self::new(std::mem::take(&mut self.path));
            bytes.clear();
            file.seek(SeekFrom::Start(0))?;
            file.read_to_end(&mut bytes)?;
        }
        for line in bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            self.read += line.len() as u64;
            line.clone_into(&mut self.last_line);
            self.told.take(line);
        }
        Ok(())
    }
}

impl Told {
    /// A line that isn't an event is passed over: it may be what a full disk left of one.
    fn take(&mut self, line: &[u8]) {
        match serde_json::from_slice(line) {
            Ok(Event::Step(step)) => self.step = Some(step),
            Ok(Event::Evaluation(evaluation)) => self.evaluations.push(evaluation),
            Ok(Event::End(end)) => self.end = Some(end),
            Ok(Event::Other) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    fn step(step: u64, seconds: f64) -> String {
        format!(
            "{{\"event\":\"step\",\"step\":{step},\"total_steps\":9,\"epoch\":0.5,\"loss\":0.25,\"seconds\":{seconds}}}\n"
        )
    }

    fn evaluation(step: u64, value: &str) -> String {
        format!("{{\"event\":\"evaluation\",\"step\":{step},\"value\":{value},\"accuracy\":0.5}}\n")
    }

    #[test]
    fn what_grows_is_read_once_and_only_in_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let mut log = Log::new(path.clone());
        log.follow().unwrap();
        assert_eq!(log.told, Told::default());
        let mut file = File::create(&path).unwrap();
        let next = evaluation(2, "null");
        write!(file, "{{\"event\":\"start\"}}\n{}{}{}", step(1, 0.1), evaluation(1, "0.75"), &next[..20]).unwrap();
        log.follow().unwrap();
        log.follow().unwrap();
        assert_eq!(log.told.step.as_ref().map(|step| (step.step, step.loss)), Some((1, Some(0.25))));
        assert_eq!(log.told.evaluations, [Evaluation { step: 1, value: Some(0.75) }]);
        writeln!(file, "{}not JSON", &next[20..]).unwrap();
        writeln!(file, r#"{{"event":"end","step":2,"epoch":1.0,"seconds":1.5,"best":{{"value":0.75}}}}"#).unwrap();
        log.follow().unwrap();
        assert_eq!(log.told.evaluations[1..], [Evaluation { step: 2, value: None }]);
        assert_eq!(log.told.end.as_ref().and_then(|end| end.best.as_ref()).and_then(|best| best.value), Some(0.75));
    }

    #[test]
    fn what_was_cut_back_is_read_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let mut log = Log::new(path.clone());
        let kept = step(1, 0.1) + &evaluation(1, "0.5");
        fs::write(&path, kept.clone() + &step(2, 0.2) + &evaluation(2, "0.6")).unwrap();
        log.follow().unwrap();
        assert_eq!(log.told.evaluations.len(), 2);
        // Cut to the checkpoint, and grown again past where it was.
        fs::write(&path, kept.clone() + &step(2, 0.3) + &evaluation(2, "0.6") + &step(3, 0.4) + &step(4, 0.5)).unwrap();
        log.follow().unwrap();
        assert_eq!(log.told.evaluations.len(), 2);
        assert_eq!(log.told.step.as_ref().map(|step| step.step), Some(4));
        // Cut and not grown yet.
        fs::write(&path, kept).unwrap();
        log.follow().unwrap();
        assert_eq!((log.told.evaluations.len(), log.told.step.as_ref().map(|step| step.step)), (1, Some(1)));
    }
}
