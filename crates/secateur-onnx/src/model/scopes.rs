//! The graphs of a message: its own, and those that nodes hold in attributes (branches of `If`,
//! bodies of `Loop` and `Scan`).
//!
//! Two branches may use the same names for values of their own. Here a name that is defined in a
//! subgraph gets a prefix that says where it lies (`If_3.then_branch::conv1.weight`), and a name
//! that a subgraph reads is looked up from the inside out. Names of the message's own graph stay
//! as they are.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::node::{Body, Node};
use super::proto::{GraphProto, NodeProto, ValueInfoProto};
use super::value_info::ValueInfo;

/// A subgraph among the attributes of a graph's nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// Index of the node.
    pub node: usize,
    /// Index of its attribute.
    pub attribute: usize,
    /// Index among the graphs of the attribute.
    pub graph: usize,
}

impl Place {
    /// The subgraph that lies there.
    pub(super) fn of(self, graph: &mut GraphProto) -> Option<&mut GraphProto> {
        let attribute = graph.node.get_mut(self.node)?;
        let attribute = attribute.attribute.get_mut(self.attribute)?;
        let mut graphs = attribute
            .g
            .as_mut()
            .into_iter()
            .chain(&mut attribute.graphs);
        graphs.nth(self.graph)
    }
}

/// Subgraphs of these nodes with the prefixes of their names. `prefix` is that of the nodes.
pub(super) fn subgraphs<'a>(
    nodes: &'a [NodeProto],
    prefix: &str,
) -> Vec<(Place, String, &'a GraphProto)> {
    let owners = || (0..nodes.len()).filter(|&node| holds_graphs(&nodes[node]));
    if owners().next().is_none() {
        return Vec::new();
    }
    let mut names: HashMap<&str, usize> = HashMap::new();
    for node in nodes {
        *names.entry(node.name()).or_default() += 1;
    }
    let label = |index: usize| {
        let node = &nodes[index];
        let output = || node.output.iter().find(|output| !output.is_empty());
        match node.name() {
            name if !name.is_empty() && names[name] == 1 => name.to_string(),
            _ => output().map_or_else(|| format!("{}#{index}", node.op_type()), String::clone),
        }
    };
    let mut found = Vec::new();
    for node in owners() {
        let label = label(node);
        for (attribute, proto) in nodes[node].attribute.iter().enumerate() {
            let graphs = proto.g.as_ref().into_iter().chain(&proto.graphs);
            for (graph, inner) in graphs.enumerate() {
                let number = match proto.graphs.len() {
                    0 => String::new(),
                    _ => format!("[{graph}]"),
                };
                let place = Place {
                    node,
                    attribute,
                    graph,
                };
                let prefix = format!("{prefix}{label}.{}{number}::", proto.name());
                found.push((place, prefix, inner));
            }
        }
    }
    found
}

fn holds_graphs(node: &NodeProto) -> bool {
    let mut attributes = node.attribute.iter();
    attributes.any(|attribute| attribute.g.is_some() || !attribute.graphs.is_empty())
}

/// Names that a subgraph defines, and what lies around it.
struct Names<'a> {
    prefix: String,
    own: HashSet<&'a str>,
    /// `None` in the message's own graph.
    around: Option<Rc<Self>>,
}

/// A graph of a message with what its names mean.
pub(super) struct Scope<'a> {
    /// The graph.
    pub graph: &'a GraphProto,
    /// `None` for the message's own graph, whose names stay.
    names: Option<Rc<Names<'a>>>,
    /// Subgraphs by the node that holds them.
    bodies: HashMap<usize, Vec<Body>>,
}

impl<'a> Scope<'a> {
    /// All graphs of a message; its own comes first, subgraphs behind the graph they lie in.
    pub(super) fn all(graph: &'a GraphProto) -> Vec<Self> {
        let mut scopes = vec![Self::new(graph, None)];
        let mut next = 0;
        while next < scopes.len() {
            let outer = &scopes[next];
            let (mut bodies, mut inner): (HashMap<usize, Vec<Body>>, Vec<Self>) =
                Default::default();
            for (place, prefix, graph) in subgraphs(&outer.graph.node, outer.prefix()) {
                let names = Names {
                    prefix,
                    own: names_of(graph),
                    around: outer.names.clone(),
                };
                let scope = Self::new(graph, Some(Rc::new(names)));
                let owner = &outer.graph.node[place.node];
                let attribute = owner.attribute[place.attribute].name();
                let body = scope.body(attribute);
                bodies.entry(place.node).or_default().push(body);
                inner.push(scope);
            }
            scopes[next].bodies = bodies;
            scopes.extend(inner);
            next += 1;
        }
        scopes
    }

    fn new(graph: &'a GraphProto, names: Option<Rc<Names<'a>>>) -> Self {
        Self {
            graph,
            names,
            bodies: HashMap::new(),
        }
    }

    /// What names that are defined here begin with; empty for the message's own graph.
    fn prefix(&self) -> &str {
        self.names.as_ref().map_or("", |names| &names.prefix)
    }

    /// The whole name of what is called `name` here.
    pub(super) fn resolve(&self, name: &str) -> String {
        let mut around = self.names.as_ref();
        while let Some(names) = around {
            if names.own.contains(name) {
                return format!("{}{name}", names.prefix);
            }
            around = names.around.as_ref();
        }
        name.to_string()
    }

    /// A value of this graph under its whole name.
    pub(super) fn value_info(&self, proto: &ValueInfoProto) -> ValueInfo {
        let mut info = ValueInfo::from_proto(proto);
        info.name = self.resolve(&info.name);
        info
    }

    /// Whole names for the node of that index, and its subgraphs.
    pub(super) fn place(&self, index: usize, mut node: Node) -> Node {
        if self.names.is_some() {
            node.is_inner = true;
            let outputs = node.outputs.iter_mut().filter(|name| !name.is_empty());
            for name in node.inputs.iter_mut().flatten().chain(outputs) {
                *name = self.resolve(name);
            }
            if node.name.is_empty() {
                node.name = format!("{}#{index}", node.op_type);
            }
            node.name.insert_str(0, self.prefix());
        }
        if let Some(bodies) = self.bodies.get(&index) {
            node.bodies.clone_from(bodies);
        }
        node
    }

    fn body(&self, attribute: &str) -> Body {
        let infos =
            |protos: &[ValueInfoProto]| protos.iter().map(|info| self.value_info(info)).collect();
        Body {
            attribute: attribute.to_string(),
            inputs: infos(&self.graph.input),
            outputs: infos(&self.graph.output),
        }
    }
}

/// Names that a graph defines.
fn names_of(graph: &GraphProto) -> HashSet<&str> {
    let mut names: HashSet<&str> = graph.input.iter().map(|input| input.name()).collect();
    names.extend(graph.initializer.iter().map(|tensor| tensor.name()));
    let sparse = graph.sparse_initializer.iter();
    names.extend(sparse.map(|tensor| tensor.values.name()));
    let outputs = graph.node.iter().flat_map(|node| &node.output);
    names.extend(outputs.filter(|name| !name.is_empty()).map(String::as_str));
    names
}

/// Names of values as they are written in a graph and in its subgraphs, where none may be given
/// twice.
pub(super) fn all_names(graph: &GraphProto) -> HashSet<String> {
    let mut names: HashSet<String> = names_of(graph).into_iter().map(str::to_string).collect();
    for (.., inner) in subgraphs(&graph.node, "") {
        names.extend(all_names(inner));
    }
    names
}
