//! Where each parameter lies in flat memory. Master weights, compute weights, gradients and optimizer state have the same
//! layout, so that a pass over them reads and writes a few long pieces of memory instead of one for each parameter.
//!
//! Parameters that such a pass treats alike are a [`Group`]: all decay or none does, their compute weights have one
//! format, and so have their gradients. In fp32 there are two groups, in bf16 five. Each group has one buffer, in which
//! its parameters lie one after another in the order of the list, so that the parameters of a layer are neighbors. A
//! table with row gradients is a group of its own: its gradient doesn't lie in a buffer.
//!
//! Buffers of masters and compute weights contain every parameter; those of gradients and optimizer state only the
//! trainable ones. A [`Span`] is what lies next to each other in both. Stacks start at cache lines, and the gaps before
//! them are zeros in every buffer, so that a pass may run over them.

use tch::{Device, Kind, Tensor};

use crate::builder::{GradientForm, ParameterSpec};

/// The start of a stack is a multiple of this: 64 bytes in bf16, a cache line and the widest vector.
const ALIGNMENT: usize = 32;

/// What the parameters in one buffer have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    decays: bool,
    /// The format of the compute weights. In fp32 these are the masters.
    pub(crate) compute_kind: Kind,
    /// The format of a pass's gradients; `None` for rows.
    pub(crate) gradient_kind: Option<Kind>,
    /// For a table with row gradients, its position in the list.
    table: Option<usize>,
}

impl Group {
    fn of(spec: &ParameterSpec, index: usize, model_kind: Kind) -> Self {
        let compute_kind = if spec.traits.always_fp32 { Kind::Float } else { model_kind };
        let gradient_kind = match spec.traits.gradient {
            GradientForm::Product => Some(compute_kind),
            GradientForm::Sum => Some(Kind::Float),
            GradientForm::Rows => None,
        };
        let table = gradient_kind.is_none().then_some(index);
        Self { decays: spec.decays(), compute_kind, gradient_kind, table }
    }
}

/// The buffer of a parameter, and its first element there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FlatPlace {
    group: usize,
    start: usize,
}

/// The groups, and the place of each parameter that the buffers contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FlatLayout {
    groups: Vec<Group>,
    /// The number of elements of each group's buffer.
    lengths: Vec<usize>,
    /// The places in the order of the list; `None` for a parameter that is left out.
    places: Vec<Option<FlatPlace>>,
}

impl FlatLayout {
    /// The layout of these parameters without those whose flag is false. The groups don't depend on the flags.
    pub(crate) fn new<'a>(specs: impl IntoIterator<Item = (&'a ParameterSpec, bool)>, model_kind: Kind) -> Self {
        let mut layout = Self { groups: Vec::new(), lengths: Vec::new(), places: Vec::new() };
        let mut last_stack = None;
        for (index, (spec, included)) in specs.into_iter().enumerate() {
            let key = Group::of(spec, index, model_kind);
            let group = layout.groups.iter().position(|group| *group == key).unwrap_or_else(|| {
                layout.groups.push(key);
                layout.lengths.push(0);
                layout.groups.len() - 1
            });
            let length = &mut layout.lengths[group];
            if last_stack.replace(spec.stack) != Some(spec.stack) {
                *length = length.next_multiple_of(ALIGNMENT);
            }
            layout.places.push(included.then_some(FlatPlace { group, start: *length }));
            if included {
                *length += spec.elements() as usize;
            }
        }
        layout
    }

    /// One buffer for each group, in the format that `kind_of` returns, or an empty one for `None`. Nothing but the gaps
    /// is initialized, to zeros.
    pub(crate) fn buffers<'a>(
        &self,
        specs: impl IntoIterator<Item = &'a ParameterSpec>,
        device: Device,
        kind_of: impl Fn(&Group) -> Option<Kind>,
    ) -> Vec<Tensor> {
        self.buffers_in(specs, device, kind_of, |length, kind| Tensor::empty([length as i64], (kind, device)))
    }

    /// The same in memory that `allocate` returns for that many elements.
    pub(crate) fn buffers_in<'a>(
        &self,
        specs: impl IntoIterator<Item = &'a ParameterSpec>,
        device: Device,
        kind_of: impl Fn(&Group) -> Option<Kind>,
        mut allocate: impl FnMut(usize, Kind) -> Tensor,
    ) -> Vec<Tensor> {
        let buffer = |(group, length): (&Group, &usize)| match kind_of(group) {
            Some(kind) => allocate(*length, kind),
            None => Tensor::empty([0], (Kind::Float, device)),
        };
        let buffers: Vec<Tensor> = self.groups.iter().zip(&self.lengths).map(buffer).collect();
        let mut ends = vec![0; buffers.len()];
        for (place, spec) in self.places.iter().zip(specs) {
            let Some(FlatPlace { group, start }) = *place else { continue };
            let end = std::mem::replace(&mut ends[group], start + spec.elements() as usize);
            if start > end && buffers[group].numel() > 0 {
                let _ = buffers[group].narrow(0, end as i64, (start - end) as i64).zero_();
            }
        }
        buffers
    }

    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The number of elements of each group's buffer.
    pub(crate) fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// `shape` from the start of a parameter on, in the buffer of its group; `None` if it is left out or the buffer is
    /// empty.
    pub(crate) fn view(&self, buffers: &[Tensor], index: usize, shape: &[i64]) -> Option<Tensor> {
        let FlatPlace { group, start } = self.places[index]?;
        let buffer = &buffers[group];
        (buffer.numel() > 0).then(|| buffer.narrow(0, start as i64, shape.iter().product()).view(shape))
    }

    /// Whether a span lies here as it does in the layout of the trainable parameters that it was made from.
    pub(crate) fn contains(&self, span: &Span) -> bool {
        let place =
            |member: &SpanMember| FlatPlace { group: span.group, start: span.trainable_start + member.offset as usize };
        span.members.iter().all(|member| self.places.get(member.index).copied().flatten() == Some(place(member)))
    }
}

/// Trainable parameters that lie next to each other in every flat buffer, and that are treated alike. A single one
/// keeps its shape; several are one vector, with the gaps between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    members: Vec<SpanMember>,
    group: usize,
    /// The first element in the buffers of all parameters.
    start: usize,
    /// The first element in the buffers of the trainable ones.
    trainable_start: usize,
    len: usize,
}

/// A parameter of a [`Span`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanMember {
    /// Its position in the list of parameters.
    pub index: usize,
    /// Its first element in the span.
    pub offset: i64,
    pub shape: Vec<i64>,
}

impl Span {
    /// The spans of the parameters that `trainable` contains, longest first. Parameters with different keys are in
    /// different spans.
    pub(crate) fn of<K: PartialEq>(
        all: &FlatLayout,
        trainable: &FlatLayout,
        specs: &[&ParameterSpec],
        key: impl Fn(usize) -> K,
    ) -> Vec<Span> {
        let mut spans = Vec::new();
        for group in 0..all.groups.len() {
            // The span that the group's previous parameter is in.
            let mut open: Option<Span> = None;
            for (index, spec) in specs.iter().enumerate() {
                let Some(place) = all.places[index].filter(|place| place.group == group) else { continue };
                let Some(trainable_place) = trainable.places[index] else {
                    spans.extend(open.take());
                    continue;
                };
                spans.extend(open.take_if(|span| key(span.members[0].index) != key(index)));
                let span = open.get_or_insert_with(|| Span {
                    members: Vec::new(),
                    group,
                    start: place.start,
                    trainable_start: trainable_place.start,
                    len: 0,
                });
                let offset = place.start - span.start;
                debug_assert_eq!(offset, trainable_place.start - span.trainable_start, "gaps are the same everywhere");
                span.members.push(SpanMember { index, offset: offset as i64, shape: spec.shape.clone() });
                span.len = offset + spec.elements() as usize;
            }
            spans.extend(open);
        }
        spans.sort_by_key(|span| std::cmp::Reverse(span.len));
        spans
    }

    /// The parameters, in the order in which they lie.
    pub fn members(&self) -> &[SpanMember] {
        &self.members
    }

    /// The span's elements in the buffers of all parameters.
    pub(crate) fn of_all(&self, buffers: &[Tensor]) -> Tensor {
        self.part(&buffers[self.group], self.start)
    }

    /// The span's elements in buffers of the trainable parameters.
    pub fn of_trainable(&self, buffers: &[Tensor]) -> Tensor {
        self.part(&buffers[self.group], self.trainable_start)
    }

    fn part(&self, buffer: &Tensor, start: usize) -> Tensor {
        buffer.narrow(0, start as i64, self.len as i64).view(self.shape().as_slice())
    }

    /// The shape of a single parameter, otherwise `[length]`.
    pub fn shape(&self) -> Vec<i64> {
        match self.members.as_slice() {
            [single] => single.shape.clone(),
            _ => vec![self.len as i64],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::builder::Role;
    use crate::config::Config;

    const MODEL: &str = r#"{"model_type": "bert", "vocab_size": 50, "hidden_size": 12, "num_hidden_layers": 3,
        "num_attention_heads": 2, "intermediate_size": 20, "max_position_embeddings": 16}"#;

    fn specs() -> Vec<ParameterSpec> {
        Config::from_json(MODEL, Path::new("config.json")).expect("parses").parameters()
    }

    fn layout(specs: &[ParameterSpec], kind: Kind, included: impl Fn(&ParameterSpec) -> bool) -> FlatLayout {
        FlatLayout::new(specs.iter().map(|spec| (spec, included(spec))), kind)
    }

    fn spans<K: PartialEq>(frozen: impl Fn(Role) -> bool, kind: Kind, key: impl Fn(&ParameterSpec) -> K) -> Vec<Span> {
        let specs = specs();
        let (all, trainable) = (layout(&specs, kind, |_| true), layout(&specs, kind, |spec| !frozen(spec.role)));
        Span::of(&all, &trainable, &specs.iter().collect::<Vec<_>>(), |index| key(&specs[index]))
    }

    #[test]
    fn the_places_of_a_group_neither_overlap_nor_leave_more_than_alignment_between_them() {
        let specs = specs();
        for (kind, groups) in [(Kind::Float, 3), (Kind::BFloat16, 6)] {
            let layout = layout(&specs, kind, |_| true);
            assert_eq!(layout.groups.len(), groups, "{kind:?}");
            let mut ends = vec![0; groups];
            for (spec, place) in specs.iter().zip(&layout.places) {
                let FlatPlace { group, start } = place.expect("nothing is left out");
                assert!((ends[group]..ends[group] + ALIGNMENT).contains(&start), "{}", spec.name);
                ends[group] = start + spec.elements() as usize;
            }
            assert_eq!(ends, layout.lengths);
        }
    }

    #[test]
    fn gaps_are_zeros() {
        let specs = specs();
        let layout = layout(&specs, Kind::Float, |_| true);
        // Memory that was in use holds anything.
        layout
            .lengths
            .iter()
            .for_each(|length| drop(Tensor::full([*length as i64], f64::NAN, (Kind::Float, Device::Cpu))));
        let buffers = layout.buffers(&specs, Device::Cpu, |_| Some(Kind::Float));
        for (index, spec) in specs.iter().enumerate() {
            let _ = layout.view(&buffers, index, &spec.shape).expect("a view").fill_(1.0);
        }
        let gaps: usize = buffers.iter().map(|buffer| buffer.eq(0.0).sum(Kind::Int64).int64_value(&[]) as usize).sum();
        let elements: usize = specs.iter().map(|spec| spec.elements() as usize).sum();
        assert!(gaps > 0, "the widths are no multiples of the alignment");
        assert_eq!(gaps + elements, layout.lengths.iter().sum::<usize>());
        assert!(buffers.iter().all(|buffer| buffer.eq(0.0).logical_or(&buffer.eq(1.0)).all().int64_value(&[]) == 1));
    }

    /// What one update changes with libtorch's operations: a few launches for each span.
    #[test]
    fn a_whole_model_is_three_spans_in_fp32_and_six_in_bf16() {
        assert_eq!(spans(|_| false, Kind::Float, |_| ()).len(), 3);
        assert_eq!(spans(|_| false, Kind::BFloat16, |_| ()).len(), 6);
        let by_layer = spans(|_| false, Kind::Float, |spec| spec.role);
        // The table of words; with and without decay, the other embeddings, each layer and the head.
        assert_eq!(by_layer.len(), 1 + 2 * (1 + 3 + 1));
        let members: usize = by_layer.iter().map(|span| span.members.len()).sum();
        assert_eq!(members, specs().len());
    }

    #[test]
    fn frozen_parameters_are_in_no_span_and_have_no_place_among_the_trainable_ones() {
        let spans = spans(|role| matches!(role, Role::Embedding | Role::Layer(1)), Kind::Float, |_| ());
        // With and without decay: layer 0, and layer 2 with the head.
        assert_eq!(spans.len(), 4);
        let specs = specs();
        for span in &spans {
            let of_layer_1 = |member: &SpanMember| specs[member.index].role == Role::Layer(1);
            assert!(!span.members.iter().any(of_layer_1));
        }
        let mut starts: Vec<(usize, usize, usize)> =
            spans.iter().map(|span| (span.group, span.trainable_start, span.len)).collect();
        starts.sort_unstable();
        for pair in starts.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            let end = pair[0].1 + pair[0].2;
            assert_eq!(pair[1].1, end.next_multiple_of(ALIGNMENT), "the frozen layer takes no memory");
        }
    }
}
