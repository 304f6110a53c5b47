//! The sum of the gradients of all processes, most of it while the backward pass goes on.
//!
//! The backward pass finishes the head first, then one layer after another. The gradients of some layers, a bucket, begin to
//! be summed as soon as they are final, so that the network works while the processor computes the layers below. As in
//! PyTorch's DDP the first bucket is small, so that it begins early, and the others are large enough for the network.
//! Buckets are pieces of the flat gradients: nothing is copied.
//!
//! Processes of one machine share memory instead (`shared_gradients.rs`).
//!
//! Of the word embeddings only the rows of the batch's ids travel. Every process knows the whole batch, and so these ids;
//! each fills in the rows that it has. They and all short pieces go together at the end.

use std::time::{Duration, Instant};

use collective::{Collective, PendingSum};
use model::{Gradient, Gradients, Parameters, Role, Span};
use tch::{Device, Kind, Tensor};

use crate::error::Result;
use crate::shared_gradients::SharedGradients;

/// The bytes of the first bucket, and of the others: those of PyTorch's DDP.
const FIRST_BUCKET: usize = 1 << 20;
const BUCKET: usize = 25 << 20;

/// A piece with fewer bytes costs more to start than to send.
const SHORT: usize = 64 << 10;

/// Which gradients are summed together, and after which part of the backward pass.
#[derive(Debug)]
pub(crate) struct SumPlan {
    buckets: Vec<Bucket>,
    /// Short pieces.
    rest: Vec<Span>,
    /// The word embeddings, if they are trained: their position, and their shape.
    table: Option<(usize, Vec<i64>)>,
}

#[derive(Debug)]
struct Bucket {
    /// The part of the model whose backward pass completes it.
    complete_after: Role,
    spans: Vec<Span>,
}

/// What the sums of one step have cost.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SumCost {
    /// Bytes of the gradients that were summed.
    pub(crate) bytes: u64,
    /// How long the process waited for sums with nothing else to do.
    pub(crate) waited: Duration,
    /// From the start of the first sum to the end of the last one.
    pub(crate) elapsed: Duration,
}

/// The sums of a step that have begun.
pub(crate) struct RunningSums<'a> {
    ranks: &'a dyn Collective,
    plan: &'a SumPlan,
    /// Where the gradients are, if not in memory of this process alone.
    shared: Option<&'a SharedGradients>,
    /// The number of buckets that have begun.
    begun: usize,
    pending: Vec<PendingSum<'a>>,
    started: Option<Instant>,
    /// The first failure to begin a sum.
    failed: Result<()>,
    bytes: u64,
}

impl SumPlan {
    pub(crate) fn new(parameters: &Parameters) -> Self {
        let roles: Vec<Role> = parameters.iter().map(|parameter| parameter.role()).collect();
        let bytes_of = |role: Role| -> usize {
            let of_role = parameters.iter().filter(|parameter| parameter.trainable() && parameter.role() == role);
            of_role.map(|parameter| parameter.master().numel() * size_of::<f32>()).sum()
        };
        // In the order of the backward pass: from the head down.
        let (mut order, mut bucket_of) = (roles.clone(), Vec::new());
        order.dedup();
        let (mut bucket, mut filled) = (0, 0);
        for role in order.into_iter().rev() {
            bucket_of.push((role, bucket));
            filled += bytes_of(role);
            if filled >= if bucket == 0 { FIRST_BUCKET } else { BUCKET } {
                (bucket, filled) = (bucket + 1, 0);
            }
        }
        let number = |role: Role| bucket_of.iter().find(|(other, _)| *other == role).map(|(_, bucket)| *bucket);
        let (mut buckets, mut rest, mut table) = (Vec::new(), Vec::new(), None);
        for bucket in 0..=bucket {
            let last = bucket_of.iter().rfind(|(_, other)| *other == bucket).map(|(role, _)| *role);
            let Some(complete_after) = last else { continue };
            buckets.push(Bucket { complete_after, spans: Vec::new() });
        }
        for span in parameters.spans(|index| number(roles[index])) {
            let first = &span.members()[0];
            let is_table = parameters.has_row_gradient(first.index);
            let elements: i64 = span.shape().iter().product();
            match number(roles[first.index]).and_then(|bucket| buckets.get_mut(bucket)) {
                _ if is_table => table = Some((first.index, span.shape())),
                Some(bucket) if elements as usize * size_of::<f32>() >= SHORT => bucket.spans.push(span),
                _ => rest.push(span),
            }
        }
        Self { buckets, rest, table }
    }

    /// Begins the sums of a step, whose gradients may be in shared memory.
    pub(crate) fn begin<'a>(
        &'a self,
        ranks: &'a dyn Collective,
        shared: Option<&'a SharedGradients>,
    ) -> RunningSums<'a> {
        RunningSums {
            ranks,
            plan: self,
            shared,
            begun: 0,
            pending: Vec::new(),
            started: None,
            failed: Ok(()),
            bytes: 0,
        }
    }

    /// The short pieces that go through the network; in shared memory they are summed with all others.
    fn short_pieces(&self, shared: bool) -> &[Span] {
        if shared { &[] } else { &self.rest }
    }

    /// Writes the parts of [`RunningSums::last_piece`] back.
    fn take_apart(&self, sums: &Tensor, gradients: &mut Gradients, ids: &[i64], device: Device, shared: bool) {
        let mut start = 0;
        for span in self.short_pieces(shared) {
            let Some(Gradient::Dense(tensor)) = gradients.of_span(span) else { continue };
            let length = tensor.numel() as i64;
            tensor.view(-1).copy_(&sums.narrow(0, start, length));
            start += length;
        }
        if let Some((index, shape)) = &self.table {
            let rows = ids.len() as i64;
            let values = sums.narrow(0, start, rows * shape[1]).view([rows, shape[1]]);
            gradients.set_summed_rows(*index, id_tensor(ids, device), values);
        }
    }
}

impl RunningSums<'_> {
    /// The gradients of the part `role`, and of all above it, are final.
    pub(crate) fn ready(&mut self, role: Role, gradients: &Gradients) {
        while let Some(bucket) = self.plan.buckets.get(self.begun) {
            let not_yet = order(role) > order(bucket.complete_after);
            if not_yet || self.shared.is_some() || self.failed.is_err() {
                return;
            }
            self.begin_next(gradients);
        }
    }

    fn begin_next(&mut self, gradients: &Gradients) {
        let bucket = &self.plan.buckets[self.begun];
        self.begun += 1;
        for span in &bucket.spans {
            let Some(Gradient::Dense(tensor)) = gradients.of_span(span) else { continue };
            self.begin_sum(&tensor.view(-1));
        }
    }

    fn begin_sum(&mut self, tensor: &Tensor) {
        if self.failed.is_err() {
            return;
        }
        self.started.get_or_insert_with(Instant::now);
        self.bytes += (tensor.numel() * tensor.kind().elt_size_in_bytes()) as u64;
        match self.ranks.start_sum(tensor) {
            Ok(pending) => self.pending.push(pending),
            Err(error) => self.failed = Err(error.into()),
        }
    }

    /// Begins what has not begun, and waits for all. `ids` are those of the whole step, ascending and distinct: the rows of
    /// the word embeddings that have a gradient on some rank.
    pub(crate) fn finish(mut self, gradients: &mut Gradients, ids: &[i64], device: Device) -> Result<SumCost> {
        while self.shared.is_none() && self.begun < self.plan.buckets.len() {
            self.begin_next(gradients);
        }
        let last = self.last_piece(gradients, ids, device);
        if let Some(last) = &last {
            self.begin_sum(last);
        }
        self.failed?;
        let waits = Instant::now();
        if let Some(shared) = self.shared {
            self.started.get_or_insert(waits);
            shared.sum()?;
            self.bytes += shared.bytes();
        }
        for pending in self.pending {
            pending.wait()?;
        }
        let (waited, elapsed) = (waits.elapsed(), self.started.map_or(Duration::ZERO, |started| started.elapsed()));
        if let Some(last) = last {
            self.plan.take_apart(&last, gradients, ids, device, self.shared.is_some());
        }
        Ok(SumCost { bytes: self.bytes, waited, elapsed })
    }

    /// The short pieces and the rows of the word embeddings, as one vector in fp32.
    fn last_piece(&self, gradients: &Gradients, ids: &[i64], device: Device) -> Option<Tensor> {
        let short = self.plan.short_pieces(self.shared.is_some()).iter();
        let short = short.filter_map(|span| gradients.of_span(span));
        let mut pieces: Vec<Tensor> =
            short.map(|gradient| gradient.values().reshape([-1]).to_kind(Kind::Float)).collect();
        if let Some((index, shape)) = &self.plan.table {
            pieces.push(gradients.rows_of(*index, &id_tensor(ids, device), shape).view(-1));
        }
        (!pieces.is_empty()).then(|| Tensor::cat(&pieces, 0))
    }
}

fn id_tensor(ids: &[i64], device: Device) -> Tensor {
    Tensor::from_slice(ids).to_device(device)
}

/// The height of a part in the model: the backward pass goes down.
fn order(role: Role) -> usize {
    match role {
        Role::Embedding => 0,
        Role::Layer(index) => index + 1,
        Role::Head => usize::MAX,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use collective::Alone;
    use model::{Config, DropoutStream, GradientMemory, Inputs, Precision, SequenceClassifier};

    use super::*;

    /// Two processes with the same gradients: each sum is twice the tensor.
    #[derive(Debug)]
    struct Twins;

    static ALONE: Alone = Alone;

    impl Collective for Twins {
        fn rank(&self) -> usize {
            0
        }

        fn world(&self) -> usize {
            2
        }

        fn local_rank(&self) -> usize {
            0
        }

        fn local_world(&self) -> usize {
            1
        }

        fn describe(&self, rank: usize) -> String {
            format!("rank {rank}")
        }

        fn start_sum(&self, tensor: &Tensor) -> collective::Result<PendingSum<'_>> {
            let _ = tensor.shallow_clone().g_mul_scalar_(2.0);
            ALONE.start_sum(tensor)
        }

        fn broadcast(&self, _: &Tensor) -> collective::Result<()> {
            Ok(())
        }

        fn leave(&self, _: Option<&str>) {}
    }

    /// Layers of three megabytes.
    fn model(precision: Precision) -> SequenceClassifier {
        let json = r#"{"model_type": "bert", "vocab_size": 900, "hidden_size": 256, "num_hidden_layers": 3,
            "num_attention_heads": 4, "intermediate_size": 1024, "max_position_embeddings": 8}"#;
        let config = Config::from_json(json, Path::new("config.json")).expect("parses");
        SequenceClassifier::random(config, Device::Cpu, precision, 1)
    }

    /// The gradients of a pass, and of one whose gradients were summed over [`Twins`]; the buckets that had begun in the pass.
    fn alone_and_summed(model: &SequenceClassifier) -> (Gradients, Gradients, usize) {
        let inputs = Inputs::new(&[2, 700, 9, 3, 2, 8, 3], &[0, 4, 7], Device::Cpu);
        let pass = |gradients: &mut Gradients, ready: &mut dyn FnMut(Role, &Gradients)| {
            let (logits, tape) = model.forward_train(&inputs, &DropoutStream::new(1, 1));
            model.backward_into(tape, &logits.ones_like(), gradients, ready);
        };
        let parameters = model.parameters();
        let (mut alone, mut summed) = (Gradients::of_pass(parameters), Gradients::of_pass(parameters));
        pass(&mut alone, &mut |_, _| ());
        let plan = SumPlan::new(parameters);
        let mut sums = plan.begin(&Twins, None);
        pass(&mut summed, &mut |role, gradients| sums.ready(role, gradients));
        let begun = sums.begun;
        // Another process had the id 77.
        let cost = sums.finish(&mut summed, &[2, 3, 8, 9, 77, 700], Device::Cpu).expect("sums");
        assert!(cost.bytes > 0);
        (alone, summed, begun)
    }

    fn assert_twice(alone: &Gradients, summed: &Gradients, model: &SequenceClassifier) {
        for (parameter, (one, two)) in model.parameters().iter().zip(alone.iter().zip(summed.iter())) {
            assert_eq!(one.is_some(), parameter.trainable());
            let (Some(one), Some(two)) = (one, two) else { continue };
            let shape = parameter.master().size();
            assert!((one.to_dense(&shape) * 2.0).equal(&two.to_dense(&shape)), "{}", parameter.name());
        }
    }

    #[test]
    fn every_gradient_is_summed_once_and_most_while_the_pass_goes_on() {
        for precision in [Precision::Fp32, Precision::Bf16] {
            let model = model(precision);
            let (alone, summed, begun) = alone_and_summed(&model);
            assert_twice(&alone, &summed, &model);
            assert!(begun >= 2, "{begun} buckets");
        }
    }

    #[test]
    fn frozen_parts_are_in_no_sum() {
        for lowest in [Role::Embedding, Role::Layer(1)] {
            let mut model = model(Precision::Fp32);
            model.parameters_mut().freeze(|role| order(role) <= order(lowest));
            let (alone, summed, _) = alone_and_summed(&model);
            assert_twice(&alone, &summed, &model);
        }
    }

    #[test]
    fn a_process_without_sentences_adds_zeros() {
        let model = model(Precision::Fp32);
        let parameters = model.parameters();
        let mut gradients = Gradients::in_memory(parameters, GradientMemory::Pass, |length, kind| {
            Tensor::full([length as i64], f64::NAN, (kind, Device::Cpu))
        });
        gradients.set_to_zero();
        let plan = SumPlan::new(parameters);
        plan.begin(&Twins, None).finish(&mut gradients, &[5, 6], Device::Cpu).expect("sums");
        for (parameter, gradient) in parameters.iter().zip(gradients.iter()) {
            let dense = gradient.expect("all are trainable").to_dense(&parameter.master().size());
            assert_eq!(dense.count_nonzero(None::<i64>).int64_value(&[]), 0, "{}", parameter.name());
        }
    }
}
