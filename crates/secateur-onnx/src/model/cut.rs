//! Some nodes of a model as a model of their own.

use std::collections::{HashMap, HashSet};

use super::message::Model;
use super::proto::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
use super::value_info::ValueInfo;
use crate::error::Result;

impl Model {
    /// The nodes that give the values `nodes`, and what they need of stored tensors, as a model that
    /// reads `inputs` and gives `outputs`. Nodes in subgraphs are not looked for.
    ///
    /// # Errors
    /// [`crate::OnnxError::Tensor`] for external data that cannot be read.
    pub fn cut(&self, nodes: &[String], inputs: &[ValueInfo], outputs: &[String]) -> Result<Self> {
        let whole: &GraphProto = &self.proto.graph;
        let mut by_output: HashMap<&str, usize> = HashMap::new();
        for (index, node) in whole.node.iter().enumerate() {
            by_output.extend(node.output.iter().map(|name| (name.as_str(), index)));
        }
        let is_fed: HashSet<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
        let mut taken: HashSet<usize> = HashSet::new();
        let mut stored: HashSet<&str> = HashSet::new();
        let mut open: Vec<usize> = nodes
            .iter()
            .filter_map(|name| by_output.get(name.as_str()).copied())
            .collect();
        // Everything behind a value that is not fed is computed from stored tensors.
        while let Some(index) = open.pop() {
            if !taken.insert(index) {
                continue;
            }
            let read = whole.node[index].input.iter().map(String::as_str);
            for name in read.filter(|name| !is_fed.contains(name)) {
                match by_output.get(name) {
                    Some(&index) => open.push(index),
                    None => drop(stored.insert(name)),
                }
            }
        }
        let mut graph = GraphProto::new();
        graph.set_name("piece".to_string());
        let numbered = whole.node.iter().enumerate();
        let own = numbered.filter(|(index, _)| taken.contains(index));
        graph.node = own.map(|(_, node)| NodeProto::clone(node)).collect();
        let tensors = whole.initializer.iter();
        graph.initializer = tensors
            .filter(|tensor| stored.contains(tensor.name()))
            .cloned()
            .collect();
        graph.input = inputs.iter().map(ValueInfo::to_proto).collect();
        graph.output = outputs
            .iter()
            .map(|name| {
                let mut output = ValueInfoProto::new();
                output.set_name(name.clone());
                output
            })
            .collect();
        let mut proto = ModelProto::new();
        proto.set_ir_version(self.proto.ir_version());
        proto.opset_import.clone_from(&self.proto.opset_import);
        proto.functions.clone_from(&self.proto.functions);
        proto.graph = Some(graph).into();
        let model = Self {
            proto,
            base_dir: self.base_dir.clone(),
            computed: Vec::new(),
        };
        model.self_contained()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::{VggConfig, vgg_like};
    use crate::graph::{Dim, Graph};
    use crate::shape::infer_shapes;

    #[test]
    fn a_piece_is_a_model_with_its_own_weights() {
        let mut config = VggConfig::new([1, 8, 8], 3);
        config.stages = VggConfig::parse_stages("4,M,6,M").unwrap();
        config.hidden = vec![8];
        let model = vgg_like(&config, 0).unwrap();
        let graph = Graph::from_model(&model).unwrap();
        let second = graph
            .nodes
            .iter()
            .filter(|node| node.op_type == "Conv")
            .nth(1)
            .unwrap();
        let input = ValueInfo {
            name: second.input(0).unwrap().to_string(),
            shape: [1, 4, 4, 4].map(Dim::Fixed).to_vec(),
            elem_type: 1,
            has_shape: true,
        };
        let piece = model
            .cut(&second.outputs, &[input], &second.outputs)
            .unwrap();
        let graph = Graph::from_model(&piece).unwrap();
        assert_eq!(graph.nodes.len(), 1);
        assert!(graph.initializers.contains_key(second.input(1).unwrap()));
        let shapes = infer_shapes(&graph, None).unwrap();
        assert_eq!(shapes[&second.outputs[0]], [1, 6, 4, 4].map(Dim::Fixed));
    }
}
