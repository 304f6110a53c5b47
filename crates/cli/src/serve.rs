//! `verdict serve`: a run behind HTTP, until it is told to stop.

mod explained_run;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::predict::{BatchScores, Predictor, batch_scores};
use ::serve::{
    ApiKey, Classifier, FileLimits, ModelRecord, RequestLogChoice, ServeConfig, ServeLimits, ServedModel, Server,
    StopRequest, TextExplainer, TextScores,
};
use anyhow::{Result, bail};
use clap::{ArgAction, Args};
use model::{DeviceChoice, InferencePrecisionChoice, SequenceClassifier, device_name};
use tch::Device;
use tokenize::Batch;

use crate::chosen_run;
use crate::evaluate::int8_notes;
use explained_run::ExplainedRun;

/// Holds the key that clients must send. A flag would show it to everyone who lists processes.
const API_KEY: &str = "VERDICT_API_KEY";
/// Tokens of a forward pass that use a GPU well.
const GPU_BATCH_TOKENS: usize = 16_384;

/// The flags of `serve`.
#[derive(Args)]
pub(crate) struct ServeArgs {
    /// Folder of the run, or any Hugging Face folder of a BERT with a classification head [default: the newest under runs/]
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Address to listen on; 0.0.0.0 makes the server reachable from other machines
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 3000)]
    port: u16,
    #[arg(long, value_name = "FILE", help = format!(
        "File with the key that clients must send as \"Authorization: Bearer KEY\"; the environment variable {API_KEY} may \
         hold it instead"))]
    api_key_file: Option<PathBuf>,
    #[arg(
        long,
        value_name = "ORIGIN",
        help = "Web pages that may call the server from a browser, such as \
        https://example.org; * for all; may be given several times"
    )]
    cors_origin: Vec<String>,
    /// Number format of the computation
    #[arg(long, ignore_case = true, default_value = "auto")]
    precision: InferencePrecisionChoice,
    /// Where to compute
    #[arg(long, ignore_case = true, default_value = "auto")]
    device: DeviceChoice,
    /// Whether texts that are too long are cut, rather than refused, where a request doesn't say
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    auto_truncate: bool,
    /// Requests to log on stderr: failures (answered with a status of 500 and more), all or off; never their texts
    #[arg(long, value_name = "WHICH", default_value = "failures", value_parser = request_log)]
    log: RequestLogChoice,
    #[command(flatten, next_help_heading = "Limits")]
    limits: LimitArgs,
}

/// The limits that have a flag.
#[derive(Args)]
struct LimitArgs {
    /// Bytes of a request's body
    #[arg(long, value_name = "N", default_value_t = ServeLimits::default().max_body_bytes)]
    max_body_bytes: usize,
    /// Texts of a request
    #[arg(long, value_name = "N", default_value_t = ServeLimits::default().max_client_batch_size)]
    max_client_batch_size: usize,
    #[arg(long, value_name = "N", help = format!(
        "Tokens of a forward pass [default: {}; on a GPU {GPU_BATCH_TOKENS}]", ServeLimits::default().max_batch_tokens))]
    max_batch_tokens: Option<usize>,
    /// Requests that are answered at the same time; more are refused with 429
    #[arg(long, value_name = "N", default_value_t = ServeLimits::default().max_concurrent_requests)]
    max_concurrent_requests: usize,
    /// Milliseconds that the requests before a new one may take; beyond that it is refused with 429. Where less arrives than
    /// is answered, as after a pause of the machine, 16 times as many
    #[arg(long, value_name = "MS", default_value_t = ServeLimits::default().max_queue_time.as_millis() as u64)]
    max_queue_ms: u64,
    /// Seconds from the last byte of a request to its answer
    #[arg(long, value_name = "SECONDS", default_value_t = ServeLimits::default().answer_timeout.as_secs())]
    answer_timeout: u64,
    /// Seconds for the headers of a request, and again for its body
    #[arg(long, value_name = "SECONDS", default_value_t = ServeLimits::default().read_timeout.as_secs())]
    read_timeout: u64,
    /// Seconds between two requests of a connection; should be longer than a proxy before the server keeps it
    #[arg(long, value_name = "SECONDS", default_value_t = ServeLimits::default().idle_timeout.as_secs())]
    idle_timeout: u64,
    /// Open connections
    #[arg(long, value_name = "N", default_value_t = ServeLimits::default().max_connections)]
    max_connections: usize,
    /// Bytes of a file that is labeled
    #[arg(long, value_name = "N", default_value_t = FileLimits::default().max_bytes)]
    max_file_bytes: usize,
    /// Rows of a file that is labeled
    #[arg(long, value_name = "N", default_value_t = FileLimits::default().max_rows)]
    max_file_rows: u64,
    /// Files that are labeled at the same time; more are refused with 429
    #[arg(long, value_name = "N", default_value_t = FileLimits::default().max_files)]
    max_files: usize,
    /// Seconds from the first byte of a file to the last of the labeled one
    #[arg(long, value_name = "SECONDS", default_value_t = FileLimits::default().timeout.as_secs())]
    file_timeout: u64,
    /// Seconds that requests may take to finish after SIGTERM or Ctrl-C
    #[arg(long, value_name = "SECONDS", default_value_t = ServeLimits::default().shutdown_timeout.as_secs())]
    shutdown_timeout: u64,
}

fn request_log(value: &str) -> Result<RequestLogChoice, String> {
    match value {
        "failures" => Ok(RequestLogChoice::Failures),
        "all" => Ok(RequestLogChoice::All),
        "off" => Ok(RequestLogChoice::Off),
        _ => Err("expected failures, all or off".to_owned()),
    }
}

/// Serves a run until SIGTERM or Ctrl-C.
pub(crate) fn run(args: &ServeArgs) -> Result<()> {
    let api_key = api_key(args.api_key_file.as_deref())?;
    let run = chosen_run(args.run.as_deref())?.path;
    let device = args.device.device()?;
    let precision = args.precision.on(device, &Predictor::config(&run)?);
    let explained = ExplainedRun::new(&run, device);
    let predictor = Predictor::open(&run, device, precision)?;
    let notes = int8_notes(&run, &predictor, precision)?;
    notes.iter().for_each(|note| disk::print_message(format!("note: {note}")));
    let (model, tokenizer, label_names) = predictor.into_parts();
    let (record, faults) = ModelRecord::read(&run);
    faults.iter().for_each(|fault| disk::print_message(format!("note: {fault}")));
    let has_key = api_key.is_some();
    let config = ServeConfig {
        host: args.host.clone(),
        port: args.port,
        api_key,
        cors_origins: args.cors_origin.clone(),
        auto_truncate: args.auto_truncate,
        log: args.log,
        limits: args.limits.on(device),
        files: args.limits.files(),
        record,
    };
    let served = ServedModel { id: name_of(&run), dtype: precision.dtype(), device: device_name(device), label_names };
    let about = format!(
        "serving {} on {} in {precision}: labels {}; texts of up to {} tokens",
        run.display(),
        served.device,
        served.label_names.join(", "),
        tokenizer.max_length()
    );
    let server = Server::start(config, served, tokenizer, LoadedModel { model, explained }, StopRequest::Signals)?;
    let address = server.address();
    disk::print_message(about);
    if !address.ip().is_loopback() && !has_key {
        disk::print_message(format!(
            "note: everyone who reaches {address} can use the model (hint: set {API_KEY}, or leave --host out)"
        ));
    }
    // An address that stands for all of this machine's is not one to send requests to.
    let shown =
        if address.ip().is_unspecified() { format!("localhost:{}", address.port()) } else { address.to_string() };
    let key = if has_key { format!(" -H \"Authorization: Bearer ${API_KEY}\"") } else { String::new() };
    disk::print_message(format!(
        "listening on http://{shown}; Ctrl-C stops\n\n  curl http://{shown}/predict -H 'Content-Type: \
         application/json'{key} -d '{{\"inputs\": \"A tender, funny film.\"}}'\n\nor open http://{shown}/ui in a browser"
    ));
    server.run()?;
    disk::print_message("stopped: every accepted request is answered");
    Ok(())
}

fn api_key(file: Option<&Path>) -> Result<Option<ApiKey>> {
    match (file, std::env::var_os(API_KEY)) {
        (Some(file), None) => Ok(Some(ApiKey::from_file(file)?)),
        (Some(file), Some(_)) => bail!(
            "--api-key-file {} and {API_KEY} both give a key (hint: unset {API_KEY}, or leave --api-key-file out)",
            file.display()
        ),
        // One that isn't UTF-8 is refused for its characters.
        (None, Some(key)) => Ok(Some(ApiKey::new(&key.to_string_lossy(), API_KEY)?)),
        (None, None) => Ok(None),
    }
}

/// The name of the folder, which clients see: the path before it is no business of theirs.
fn name_of(run: &Path) -> String {
    let whole = run.canonicalize().unwrap_or_else(|_| run.to_owned());
    whole.file_name().map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned())
}

impl LimitArgs {
    fn on(&self, device: Device) -> ServeLimits {
        let batch_tokens =
            if device == Device::Cpu { ServeLimits::default().max_batch_tokens } else { GPU_BATCH_TOKENS };
        ServeLimits {
            max_body_bytes: self.max_body_bytes,
            max_client_batch_size: self.max_client_batch_size,
            max_batch_tokens: self.max_batch_tokens.unwrap_or(batch_tokens),
            max_concurrent_requests: self.max_concurrent_requests,
            max_queue_time: Duration::from_millis(self.max_queue_ms),
            answer_timeout: Duration::from_secs(self.answer_timeout),
            read_timeout: Duration::from_secs(self.read_timeout),
            idle_timeout: Duration::from_secs(self.idle_timeout),
            max_connections: self.max_connections,
            shutdown_timeout: Duration::from_secs(self.shutdown_timeout),
        }
    }

    fn files(&self) -> FileLimits {
        FileLimits {
            max_bytes: self.max_file_bytes,
            max_rows: self.max_file_rows,
            max_files: self.max_files,
            timeout: Duration::from_secs(self.file_timeout),
            ..FileLimits::default()
        }
    }
}

/// The model of a run, as the server calls it.
struct LoadedModel {
    model: SequenceClassifier,
    explained: ExplainedRun,
}

impl Classifier for LoadedModel {
    fn classify(&mut self, batch: &Batch) -> Result<Vec<TextScores>, Box<dyn Error + Send + Sync>> {
        let BatchScores { logits, probabilities } = batch_scores(&self.model, batch)?;
        let texts = logits.into_iter().zip(probabilities);
        Ok(texts.map(|(logits, probabilities)| TextScores { logits, probabilities }).collect())
    }

    fn explainer(&mut self) -> Result<Option<Box<dyn TextExplainer>>, Box<dyn Error + Send + Sync>> {
        Ok(Some(Box::new(self.explained.open()?)))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        args: ServeArgs,
    }

    #[test]
    fn the_documents_have_the_limits_and_their_defaults() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/serving.md");
        let document = std::fs::read_to_string(path).unwrap();
        let rows = document.lines().filter_map(|line| line.strip_prefix("| `--")?.split_once("` | "));
        let rows: Vec<(&str, &str)> = rows.filter_map(|(flag, rest)| Some((flag, rest.split_once(" |")?.0))).collect();
        assert!(rows.len() > 10, "{rows:?}");
        let command = Program::command();
        for (flag, default) in rows {
            let argument = command.get_arguments().find(|argument| argument.get_long() == Some(flag));
            let found = argument.unwrap_or_else(|| panic!("--{flag} is no flag")).get_default_values();
            assert_eq!(found, [default], "--{flag}");
        }
    }
}
