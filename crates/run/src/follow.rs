//! A run's `log.jsonl`, followed while it grows.
//!
//! A run that resumes from a checkpoint truncates its log first, so lines that were read may be gone later. The last line
//! that was read shows it: it has timings, so no other line is equal to it. If it is gone, the whole log is read again.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::folder::LOG;
use crate::log::{Event, events};
use crate::records::{EndRecord, EvaluationRecord, StepRecord};

#[derive(Debug)]
pub struct LogFollower {
    path: PathBuf,
    /// How many bytes were read: whole lines only.
    read: u64,
    last_line: Vec<u8>,
    pub step: Option<StepRecord>,
    pub evaluations: Vec<EvaluationRecord>,
    pub end: Option<EndRecord>,
}

impl LogFollower {
    /// Follows the log in the folder of a run, of which nothing is read yet.
    pub fn new(run: &Path) -> Self {
        Self::at(run.join(LOG))
    }

    fn at(path: PathBuf) -> Self {
        Self { path, read: 0, last_line: Vec::new(), step: None, evaluations: Vec::new(), end: None }
    }

    /// Reads what is new. A log that isn't there yet is an empty one.
    pub fn follow(&mut self) -> io::Result<()> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if file.metadata()?.len() == self.read {
            return Ok(());
        }
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(self.read - self.last_line.len() as u64))?;
        file.read_to_end(&mut bytes)?;
        if bytes.starts_with(&self.last_line) {
            bytes.drain(..self.last_line.len());
        } else {
            *self = Self::at(std::mem::take(&mut self.path));
            bytes.clear();
            file.seek(SeekFrom::Start(0))?;
            file.read_to_end(&mut bytes)?;
        }
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let Some(last_line) = bytes[..whole].split_inclusive(|byte| *byte == b'\n').next_back() else { return Ok(()) };
        self.read += whole as u64;
        last_line.clone_into(&mut self.last_line);
        for event in events(&bytes[..whole]) {
            match event {
                Event::Start(_) => {}
                Event::Step(step) => self.step = Some(step),
                Event::Evaluation(evaluation) => self.evaluations.push(evaluation),
                Event::End(end) => self.end = Some(end),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;
    use crate::log::tests::{evaluation, line, step};
    use crate::samples;

    fn step_line(number: u64, seconds: f64) -> String {
        line(Event::Step(step(number, seconds)))
    }

    fn evaluation_line(number: u64, value: f64) -> String {
        line(Event::Evaluation(evaluation(number, value)))
    }

    #[test]
    fn a_growing_log_is_read_once_and_in_whole_lines() {
        let run = tempfile::tempdir().unwrap();
        let mut log = LogFollower::new(run.path());
        log.follow().unwrap();
        assert!(log.step.is_none() && log.evaluations.is_empty() && log.end.is_none());
        let mut file = File::create(run.path().join(LOG)).unwrap();
        let next = evaluation_line(2, f64::NAN);
        write!(file, "{{\"event\":\"other\"}}\n{}{}{}", step_line(1, 0.1), evaluation_line(1, 0.75), &next[..20])
            .unwrap();
        log.follow().unwrap();
        log.follow().unwrap();
        assert_eq!(log.step, Some(step(1, 0.1)));
        assert_eq!(log.evaluations, [evaluation(1, 0.75)]);
        write!(file, "{}not JSON\n{}", &next[20..], line(Event::End(samples::end()))).unwrap();
        log.follow().unwrap();
        assert!(log.evaluations.len() == 2 && log.evaluations[1].value.is_nan());
        assert_eq!(log.end, Some(samples::end()));
    }

    #[test]
    fn a_truncated_log_is_read_again() {
        let run = tempfile::tempdir().unwrap();
        let path = run.path().join(LOG);
        let mut log = LogFollower::new(run.path());
        let kept = step_line(1, 0.1) + &evaluation_line(1, 0.5);
        fs::write(&path, kept.clone() + &step_line(2, 0.2) + &evaluation_line(2, 0.6)).unwrap();
        log.follow().unwrap();
        assert_eq!(log.evaluations.len(), 2);
        // Cut to the checkpoint, and grown again past where it was.
        let grown = [step_line(2, 0.3), evaluation_line(2, 0.6), step_line(3, 0.4), step_line(4, 0.5)].concat();
        fs::write(&path, kept.clone() + &grown).unwrap();
        log.follow().unwrap();
        assert_eq!((log.evaluations.len(), log.step.as_ref().map(|step| step.step)), (2, Some(4)));
        // Cut and not grown yet.
        fs::write(&path, kept).unwrap();
        log.follow().unwrap();
        assert_eq!((log.evaluations.len(), log.step.as_ref().map(|step| step.step)), (1, Some(1)));
    }
}
