use serde::{Deserialize, Serialize};

use super::IntGraph;
use crate::GraphError;

/// The `format` field of a saved graph.
pub const FORMAT: &str = "vouch-integer-graph";

/// The `version` field of a saved graph.
pub const VERSION: u32 = 1;

#[derive(Serialize)]
struct Saved<'a> {
    format: &'a str,
    version: u32,
    graph: &'a IntGraph,
}

/// Read before the graph, so that a file of another version is named as such.
#[derive(Deserialize)]
struct Header {
    format: String,
    version: u32,
}

#[derive(Deserialize)]
struct Loaded {
    graph: IntGraph,
}

impl IntGraph {
    /// The graph as JSON with `format` and `version`.
    ///
    /// # Errors
    /// Where serialisation fails.
    pub fn to_json(&self) -> Result<Vec<u8>, GraphError> {
        let saved = Saved { format: FORMAT, version: VERSION, graph: self };
        serde_json::to_vec(&saved)
            .map_err(|e| GraphError::GraphFormat { origin: self.name.clone(), reason: e.to_string() })
    }

    /// Reads and validates a saved graph; `origin` stands for the bytes in messages.
    ///
    /// # Errors
    /// Where the bytes are no graph of this version, or the graph breaks an invariant.
    pub fn from_json(bytes: &[u8], origin: &str) -> Result<Self, GraphError> {
        let refused = |reason: String| GraphError::GraphFormat { origin: origin.to_owned(), reason };
        let header: Header = serde_json::from_slice(bytes).map_err(|e| refused(e.to_string()))?;
        if header.format != FORMAT || header.version != VERSION {
            return Err(refused(format!(
                "it says format `{}` version {}, this is `{FORMAT}` version {VERSION}",
                header.format, header.version
            )));
        }
        let Loaded { graph } = serde_json::from_slice(bytes).map_err(|e| refused(e.to_string()))?;
        graph.validate()?;
        Ok(graph)
    }
}
