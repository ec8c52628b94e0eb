//! From merged labels to channel groups.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use indexmap::IndexMap;

use super::context::LabelContext;
use super::{ChannelGroup, ChannelGroups, Edit, KernelRef, Labels, Member, Pinned, Role};

/// How often a class lies on each axis of each value, and why it is pinned: classes
/// alike in this form a group. So a group lies on an axis with all its kernels or
/// with none, and an axis keeps a position as long as every group keeps a kernel.
type Signature = (Vec<(u32, u32)>, Option<(String, String)>);

impl LabelContext<'_> {
    pub(super) fn into_groups(mut self) -> ChannelGroups {
        self.pin_ambiguous_weights();
        let edits = self.settle_edits();

        // Classes that some layer produces, in order of producers.
        let order: HashMap<&str, usize> = self
            .graph()
            .nodes
            .iter()
            .enumerate()
            .map(|(i, n)| (n.name.as_str(), i))
            .collect();
        let rank = |name: &str| order.get(name).copied().unwrap_or(usize::MAX);
        let uses = self.uses.clone();
        let mut produced: Vec<(usize, &(String, usize))> = uses
            .iter()
            .filter(|(_, of_axis)| of_axis.roles.contains(&Role::Output))
            .map(|(key, of_axis)| {
                (
                    of_axis
                        .producers
                        .iter()
                        .map(|p| rank(p))
                        .min()
                        .unwrap_or(usize::MAX),
                    key,
                )
            })
            .collect();
        produced.sort();
        let mut signatures: IndexMap<u32, Vec<(u32, u32)>> = IndexMap::new();
        for (_, (tensor, axis)) in &produced {
            for &label in self.labels_of(tensor, *axis).iter() {
                signatures.entry(self.labels.root(label)).or_default();
            }
        }

        // Where each class lies.
        let mut places: Vec<(String, usize)> = Vec::new();
        let mut at: HashMap<u32, BTreeMap<(String, usize), Vec<usize>>> = HashMap::new();
        let axes = std::mem::take(&mut self.axes);
        for (value, of_value) in &axes {
            let stored = self.graph().initializers.contains_key(value);
            for (axis, labels) in of_value.iter().enumerate() {
                let Some(labels) = labels else { continue };
                let place = places.len() as u32;
                let mut found = false;
                for (position, &label) in labels.iter().enumerate() {
                    let root = self.labels.root(label);
                    let Some(signature) = signatures.get_mut(&root) else {
                        continue;
                    };
                    found = true;
                    match signature.last_mut() {
                        Some((last, count)) if *last == place => *count += 1,
                        _ => signature.push((place, 1)),
                    }
                    if stored {
                        let members = at.entry(root).or_default();
                        members
                            .entry((value.clone(), axis))
                            .or_default()
                            .push(position);
                    }
                }
                if found {
                    places.push((value.clone(), axis));
                }
            }
        }
        let mut grouped: IndexMap<Signature, Vec<u32>> = IndexMap::new();
        for (root, signature) in signatures {
            let pinned = self
                .labels
                .pinned(root)
                .map(|p| (p.node.clone(), p.reason.clone()));
            grouped.entry((signature, pinned)).or_default().push(root);
        }

        let mut groups = Vec::with_capacity(grouped.len());
        let mut kernel_of: HashMap<u32, KernelRef> = HashMap::new();
        let mut names: HashMap<String, usize> = HashMap::new();
        for ((signature, pinned), roots) in grouped {
            let stored: BTreeSet<&(String, usize)> = roots
                .iter()
                .filter_map(|root| at.get(root))
                .flat_map(BTreeMap::keys)
                .collect();
            let mut producers: Vec<String> = Vec::new();
            let mut is_conv = false;
            for key in &stored {
                let Some(of_axis) = self.uses.get(*key) else {
                    continue;
                };
                if of_axis.roles.contains(&Role::Output) {
                    producers.extend(of_axis.producers.iter().cloned());
                    is_conv |= of_axis.by_conv;
                }
            }
            producers.sort_by_key(|name| (rank(name), name.clone()));
            producers.dedup();
            let mut members: Vec<Member> = stored
                .iter()
                .map(|key| Member {
                    tensor: key.0.clone(),
                    axis: key.1,
                    role: self
                        .uses
                        .get(*key)
                        .and_then(|of_axis| of_axis.roles.first().copied())
                        .unwrap_or(Role::Norm),
                    positions: roots
                        .iter()
                        .map(|root| at.get(root).and_then(|m| m.get(*key)).cloned())
                        .map(Option::unwrap_or_default)
                        .collect(),
                })
                .collect();
            members.sort_by(|a, b| (&a.tensor, a.axis).cmp(&(&b.tensor, b.axis)));
            debug_assert!(!signature.is_empty());
            for (kernel, &root) in roots.iter().enumerate() {
                kernel_of.insert(root, (groups.len(), kernel));
            }
            let first = producers.first().cloned().unwrap_or_default();
            let seen = names.entry(first.clone()).or_default();
            *seen += 1;
            groups.push(ChannelGroup {
                name: if *seen == 1 {
                    first
                } else {
                    format!("{first}#{seen}")
                },
                producers,
                is_conv,
                width: roots.len(),
                pinned: pinned.map(|(node, reason)| Pinned { node, reason }),
                members,
            });
        }

        let mut kernels = |labels: &Labels| -> Vec<Option<KernelRef>> {
            labels
                .iter()
                .map(|&l| kernel_of.get(&self.labels.root(l)).copied())
                .collect()
        };
        let axes = axes
            .iter()
            .map(|(value, of_value)| {
                let of_value: Vec<_> = of_value
                    .iter()
                    .map(|labels| {
                        labels
                            .as_ref()
                            .map(&mut kernels)
                            .filter(|of_axis| of_axis.iter().any(Option::is_some))
                    })
                    .collect();
                (value.clone(), of_value)
            })
            .filter(|(_, of_value)| of_value.iter().any(Option::is_some))
            .collect();
        let switches = |positions: &Vec<Option<KernelRef>>| {
            positions
                .iter()
                .flatten()
                .any(|(group, _)| groups[*group].pinned.is_none())
        };
        let edits = edits
            .iter()
            .map(|edit| edit.map(&mut kernels))
            // Inputs that do not follow by themselves are settled already.
            .filter(|edit| {
                matches!(edit, Edit::Input { .. }) || edit.positions().into_iter().any(switches)
            })
            .collect();
        ChannelGroups {
            groups,
            axes,
            edits,
        }
    }

    fn labels_of(&self, tensor: &str, axis: usize) -> Labels {
        let labels = self
            .axes
            .get(tensor)
            .and_then(|axes| axes.get(axis)?.clone());
        labels.unwrap_or_else(|| Labels::from(Vec::new()))
    }

    /// Weights that serve as rows of one layer and as columns of another cannot be zeroed
    /// for the one and kept for the other.
    fn pin_ambiguous_weights(&mut self) {
        let ambiguous: Vec<(String, usize)> = self
            .uses
            .iter()
            .filter(|(_, of_axis)| {
                of_axis.roles.contains(&Role::Output) && of_axis.roles.contains(&Role::Input)
            })
            .map(|(key, _)| key.clone())
            .collect();
        for (tensor, axis) in ambiguous {
            let place = format!("initializer `{tensor}`");
            let labels = self.labels_of(&tensor, axis);
            self.labels.pin(
                &labels,
                &place,
                "it serves as rows here and as columns there",
            );
        }
    }
}
