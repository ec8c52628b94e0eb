//! From merged labels to channel groups.
//!
//! A class is a set of positions with one label: the positions of one kernel.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use indexmap::IndexMap;

use super::group::{ChannelGroup, ChannelGroups, KernelRef, Member};
use crate::labels::{AxisLabels, LabelContext, LabelSets, Labels, Pinned, Role};

/// How often a class lies on each axis of each value, and why it is pinned: classes
/// alike in this form a group. So a group lies on an axis with all its kernels or
/// with none, and an axis keeps a position as long as every group keeps a kernel.
type Signature = (Vec<(u32, u32)>, Option<Pinned>);

/// Axis of a value.
type AxisKey = (String, usize);

/// Labels of the axes of every value.
type AllAxes = BTreeMap<String, Vec<AxisLabels>>;

/// Places of the nodes in the graph, by name.
struct Order<'a>(HashMap<&'a str, usize>);

impl Order<'_> {
    fn rank(&self, node: &str) -> usize {
        self.0.get(node).copied().unwrap_or(usize::MAX)
    }
}

/// Where the classes lie that some layer produces.
struct Places {
    /// Per class, in the order of producers: number of an axis, positions on it.
    on_axes: IndexMap<u32, Vec<(u32, u32)>>,
    /// Per class, its positions on the axes of stored tensors.
    stored: HashMap<u32, BTreeMap<AxisKey, Vec<usize>>>,
}

impl Places {
    fn find(context: &mut LabelContext<'_>, order: &Order<'_>) -> Self {
        let mut places = Self {
            on_axes: IndexMap::new(),
            stored: HashMap::new(),
        };
        for (tensor, axis) in produced_axes(context, order) {
            for &label in context.labels_of(&tensor, axis).iter() {
                places
                    .on_axes
                    .entry(context.labels.root(label))
                    .or_default();
            }
        }
        let graph = context.graph();
        let mut number = 0;
        for (value, axes) in &context.axes {
            let stored = graph.initializers.contains_key(value);
            for (axis, labels) in axes.iter().enumerate() {
                let Some(labels) = labels else { continue };
                let key = stored.then(|| (value.clone(), axis));
                if places.note(&mut context.labels, labels, number, key) {
                    number += 1;
                }
            }
        }
        places
    }

    /// Notes the classes that lie on an axis; `key` names it if its tensor is stored. True if
    /// there are some.
    fn note(
        &mut self,
        sets: &mut LabelSets,
        labels: &Labels,
        number: u32,
        key: Option<AxisKey>,
    ) -> bool {
        let mut found = false;
        for (position, &label) in labels.iter().enumerate() {
            let root = sets.root(label);
            let Some(on_axes) = self.on_axes.get_mut(&root) else {
                continue;
            };
            found = true;
            match on_axes.last_mut() {
                Some((last, count)) if *last == number => *count += 1,
                _ => on_axes.push((number, 1)),
            }
            if let Some(key) = &key {
                let axes = self.stored.entry(root).or_default();
                axes.entry(key.clone()).or_default().push(position);
            }
        }
        found
    }
}

/// Axes of stored tensors whose positions each make an output channel, in the order of the
/// nodes that read them.
fn produced_axes(context: &LabelContext<'_>, order: &Order<'_>) -> Vec<AxisKey> {
    let uses = context.uses.iter();
    let mut produced: Vec<(usize, &AxisKey)> = uses
        .filter(|(_, of_axis)| of_axis.roles.contains(&Role::Output))
        .map(|(key, of_axis)| {
            let ranks = of_axis.producers.iter().map(|node| order.rank(node));
            (ranks.min().unwrap_or(usize::MAX), key)
        })
        .collect();
    produced.sort();
    produced.into_iter().map(|(_, key)| key.clone()).collect()
}

/// The group of these classes, without a name yet.
fn group_of(
    context: &LabelContext<'_>,
    order: &Order<'_>,
    places: &Places,
    classes: &[u32],
    pinned: Option<Pinned>,
) -> ChannelGroup {
    let of_class = |class: &u32| places.stored.get(class);
    let stored: BTreeSet<&AxisKey> = classes
        .iter()
        .filter_map(of_class)
        .flat_map(BTreeMap::keys)
        .collect();
    let uses = stored.iter().filter_map(|key| context.uses.get(*key));
    let producing = uses.filter(|of_axis| of_axis.roles.contains(&Role::Output));
    let mut producers: Vec<String> = Vec::new();
    let mut is_conv = false;
    for of_axis in producing {
        producers.extend(of_axis.producers.iter().cloned());
        is_conv |= of_axis.by_conv;
    }
    producers.sort_by_key(|name| (order.rank(name), name.clone()));
    producers.dedup();
    let role = |key: &AxisKey| context.uses.get(key)?.roles.first().copied();
    let positions = |key: &AxisKey, class: &u32| {
        let positions = of_class(class).and_then(|axes| axes.get(key));
        positions.cloned().unwrap_or_default()
    };
    let members = stored.iter().map(|&key| Member {
        tensor: key.0.clone(),
        axis: key.1,
        role: role(key).unwrap_or(Role::Norm),
        positions: classes.iter().map(|class| positions(key, class)).collect(),
    });
    ChannelGroup {
        name: String::new(),
        is_conv,
        width: classes.len(),
        pinned,
        members: members.collect(),
        producers,
    }
}

/// Names groups after their first producer, numbered where it has several.
fn name_groups(groups: &mut [ChannelGroup]) {
    let mut names: HashMap<String, usize> = HashMap::new();
    for group in groups {
        let first = group.producers.first().cloned().unwrap_or_default();
        let seen = names.entry(first.clone()).or_default();
        *seen += 1;
        group.name = if *seen == 1 {
            first
        } else {
            format!("{first}#{seen}")
        };
    }
}

/// Makes groups of the classes of a graph that was walked to its end.
pub(super) fn into_groups(mut context: LabelContext<'_>) -> ChannelGroups {
    context.pin_ambiguous_weights();
    let edits = context.settle_edits();
    let nodes = context.graph().nodes.iter().enumerate();
    let order = Order(nodes.map(|(i, node)| (node.name.as_str(), i)).collect());
    let mut places = Places::find(&mut context, &order);
    let mut alike: IndexMap<Signature, Vec<u32>> = IndexMap::new();
    for (class, on_axes) in std::mem::take(&mut places.on_axes) {
        let pinned = context.labels.pinned(class).cloned();
        alike.entry((on_axes, pinned)).or_default().push(class);
    }
    let mut groups = Vec::with_capacity(alike.len());
    let mut kernel_of: HashMap<u32, KernelRef> = HashMap::new();
    for ((_, pinned), classes) in alike {
        for (kernel, &class) in classes.iter().enumerate() {
            kernel_of.insert(class, (groups.len(), kernel));
        }
        groups.push(group_of(&context, &order, &places, &classes, pinned));
    }
    name_groups(&mut groups);

    let axes: AllAxes = std::mem::take(&mut context.axes);
    let mut kernels = |labels: &Labels| -> Vec<Option<KernelRef>> {
        let roots = labels.iter().map(|&label| context.labels.root(label));
        roots.map(|root| kernel_of.get(&root).copied()).collect()
    };
    let axes = axes
        .into_iter()
        .map(|(value, of_value)| {
            let of_value: Vec<_> = of_value
                .iter()
                .map(|labels| {
                    let of_axis = labels.as_ref().map(&mut kernels);
                    of_axis.filter(|of_axis| of_axis.iter().any(Option::is_some))
                })
                .collect();
            (value, of_value)
        })
        .filter(|(_, of_value)| of_value.iter().any(Option::is_some))
        .collect();
    let switches = |positions: &Vec<Option<KernelRef>>| {
        let mut kernels = positions.iter().flatten();
        kernels.any(|&(group, _)| groups[group].pinned.is_none())
    };
    let edits = edits
        .iter()
        .map(|edit| edit.map(&mut kernels))
        .filter(|edit| edit.is_needed() || edit.positions().into_iter().any(switches))
        .collect();
    let mixing = std::mem::take(&mut context.mixing);
    let mixing = mixing.into_iter().map(|mixing| mixing.map(&mut kernels));
    let mixing = mixing
        .filter(|mixing| switches(&mixing.positions))
        .collect();
    ChannelGroups {
        groups,
        fixed: Vec::new(),
        quantised: std::mem::take(&mut context.quantised),
        mixing,
        axes,
        edits,
    }
}
