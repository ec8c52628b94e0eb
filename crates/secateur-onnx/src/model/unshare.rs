//! Copies of vectors that layers share by accident. Nodes and their names stay.

use std::collections::HashMap;

use super::message::Model;
use super::proto::GraphProto;
use super::scopes::all_names;
use super::vectors::{Reader, Use, Vectors};

impl Model {
    /// The same model with a copy of its own for every layer that reads a vector by accident.
    ///
    /// Exporters store equal tensors once, so that biases of zero and scales of one are
    /// shared between layers that have nothing to do with each other. Training would tie
    /// them together, and their channels would be coupled. Two trained vectors are not equal by
    /// chance: one whose elements differ is one parameter of all its readers, as a matrix is,
    /// and stays so; one whose elements agree stays shared among nodes that share their other
    /// parameters too, which is one layer applied more than once.
    ///
    /// What a node `Identity` of a stored vector hands on is read from a stored vector instead;
    /// the node stays. Numbers of a formula (a vector of one that others are multiplied by,
    /// scales of a `Resize`) stay shared.
    pub fn unshared(&self) -> Self {
        let mut model = self.clone();
        let graph = model.proto.graph.mut_or_insert_default();
        let vectors = Vectors::find(graph, self.base_dir.as_deref());
        let uses = vectors.uses(graph);
        unshare(graph, &vectors, &uses);
        model
    }
}

/// The readers that keep the tensor of a vector: those that read it under its own name go
/// before those that read it through an `Identity`. None where a formula, a subgraph or an
/// output keeps it.
fn owners<'a>(vectors: &Vectors, uses: &'a [Use]) -> HashMap<&'a str, &'a Reader> {
    let mut owners: HashMap<&str, &Reader> = HashMap::new();
    for direct in [true, false] {
        let uses = uses.iter().filter(|use_| use_.direct == direct);
        for Use { vector, reader, .. } in uses {
            if !vectors.is_taken(vector) {
                owners.entry(vector).or_insert(reader);
            }
        }
    }
    owners
}

/// Gives every layer that reads a shared vector, but the first, a copy of its own.
fn unshare(graph: &mut GraphProto, vectors: &Vectors, uses: &[Use]) {
    let owners = owners(vectors, uses);
    let mut taken = all_names(graph);
    let mut copies: HashMap<(&str, &Reader), String> = HashMap::new();
    for Use {
        node,
        slot,
        vector,
        reader,
        ..
    } in uses
    {
        let input = &mut graph.node[*node].input[*slot];
        if *reader == Reader::Tied || owners.get(vector.as_str()) == Some(&reader) {
            input.clone_from(vector);
            continue;
        }
        if let Some(name) = copies.get(&(vector.as_str(), reader)) {
            input.clone_from(name);
            continue;
        }
        let mut number = 2;
        let mut name = format!("{input}/{number}");
        while !taken.insert(name.clone()) {
            number += 1;
            name = format!("{input}/{number}");
        }
        input.clone_from(&name);
        let mut copy = vectors.tensor(vector).clone();
        copy.set_name(name.clone());
        graph.initializer.push(copy);
        // Files before version 4 of the format list their initialisers among the inputs.
        let listed = graph.input.iter().find(|input| input.name() == vector);
        if let Some(mut listed) = listed.cloned() {
            listed.set_name(name.clone());
            graph.input.push(listed);
        }
        copies.insert((vector, reader), name);
    }
}
