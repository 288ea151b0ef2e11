//! How far the rewrites shorten the real models.

mod common;

use std::collections::BTreeMap;

use maoocr_runtime::{onnx, rewrite, specialise};

/// Nodes left of a model for an input of this shape.
fn nodes(name: &str, shape: [usize; 4]) -> usize {
    let mut graph = onnx::load(&common::model(name)).unwrap();
    let before = graph.nodes.len();
    rewrite::simplify(&mut graph).unwrap();
    let special = specialise::specialise(&graph, &shape).unwrap();
    let mut kinds = BTreeMap::<_, usize>::new();
    for node in &special.graph.nodes {
        *kinds.entry(node.op.name()).or_default() += 1;
    }
    let left = special.graph.nodes.len();
    eprintln!("{name}: {before} nodes, {left} after the rewrites: {kinds:?}");
    left
}

#[test]
fn models_come_down_to_a_bounded_number_of_nodes() {
    for (name, shape, bound) in [
        ("ppocrv6-tiny-det", [1, 3, 64, 64], 150),
        ("ppocrv6-small-det", [1, 3, 64, 64], 150),
        ("ppocrv6-tiny-rec", [1, 3, 48, 64], 80),
        ("ppocrv6-small-rec", [2, 3, 48, 64], 150),
        ("ppocrv5-mobile-det", [1, 3, 64, 64], 188),
        ("ppocrv5-mobile-rec", [1, 3, 48, 64], 188),
        ("ppocrv5-line-orientation", [1, 3, 80, 160], 80),
        ("page-orientation", [1, 3, 224, 224], 80),
    ] {
        let left = nodes(name, shape);
        assert!(
            left <= bound,
            "{name}: {left} nodes, at most {bound} expected"
        );
    }
}
