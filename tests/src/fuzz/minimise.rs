//! Smaller mutants that fail as their originals do.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use eyre::Result;
use prost::Message;
use tract_onnx::pb::ModelProto;

use super::{Kind, Mutant, supervise};

/// How long a mutant is made smaller.
const PATIENCE: Duration = Duration::from_secs(30);

/// Leaves out nodes, outputs, constants and functions one at a time, as long as what remains fails in the same way.
/// Whatever it tries lies in `file`, and the smallest of it at the end.
pub(super) fn minimise(mutant: &Mutant, class: &str, file: &Path) -> Result<()> {
    fs::write(file, &mutant.bytes)?;
    let Kind::Model = mutant.kind else { return Ok(()) };
    let Ok(mut model) = ModelProto::decode(mutant.bytes.as_slice()) else { return Ok(()) };
    let start = Instant::now();
    let mut smallest = mutant.bytes.clone();
    let parts: [fn(&mut ModelProto, usize) -> bool; 4] = [
        |m, i| leave_out(m.graph.as_mut(), |g| &mut g.node, i),
        |m, i| leave_out(m.graph.as_mut(), |g| &mut g.output, i),
        |m, i| leave_out(m.graph.as_mut(), |g| &mut g.initializer, i),
        |m, i| leave_out(Some(m), |m| &mut m.functions, i),
    ];
    for part in parts {
        let mut at = 0;
        while start.elapsed() < PATIENCE {
            let mut tried = model.clone();
            if !part(&mut tried, at) {
                break;
            }
            let bytes = tried.encode_to_vec();
            fs::write(file, &bytes)?;
            if supervise::class_of(file)? == class {
                (model, smallest) = (tried, bytes);
            } else {
                at += 1;
            }
        }
    }
    fs::write(file, smallest)?;
    Ok(())
}

/// Leaves the element of a list out that is so far from its end; false where there is none.
fn leave_out<M, T>(whole: Option<&mut M>, list: fn(&mut M) -> &mut Vec<T>, from_end: usize) -> bool {
    let Some(list) = whole.map(list) else { return false };
    let Some(at) = list.len().checked_sub(from_end + 1) else { return false };
    list.remove(at);
    true
}

#[cfg(test)]
mod tests {
    use tract_onnx::pb::GraphProto;

    use super::*;

    #[test]
    fn lists_lose_one_element_at_a_time() {
        let mut graph = GraphProto { node: vec![Default::default(); 2], ..GraphProto::default() };
        assert!(leave_out(Some(&mut graph), |g| &mut g.node, 1));
        assert!(!leave_out(Some(&mut graph), |g| &mut g.node, 1));
        assert_eq!(graph.node.len(), 1);
    }
}
