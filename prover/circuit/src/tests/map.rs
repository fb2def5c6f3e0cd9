//! Maps of circuits, from which pictures are drawn.

use std::sync::Arc;

use super::{
    graphs::{self, SIGNED},
    network::network,
};
use crate::{CircuitPlan, FixedColumn, ModelCircuit, PlanOptions, Purpose};

#[test]
fn a_map_covers_every_column_and_every_purpose_of_the_graph() {
    let case = network();
    for height in [1, 2, 4] {
        let options = PlanOptions { height: Some(height), ..PlanOptions::default() };
        let plan = Arc::new(CircuitPlan::choose(&case.graph, &options).unwrap());
        let circuit = ModelCircuit::for_keys(&case.graph, Arc::clone(&plan)).unwrap();
        let map = circuit.map(64);
        assert_eq!(map.columns.len(), plan.cost.advice_columns + plan.cost.fixed_columns, "height {height}");
        // A selector that no row of the graph sets is a column without a mark.
        let unset = |name: &String| {
            let kind = FixedColumn::ALL.into_iter().find(|kind| format!("{kind:?}") == *name);
            kind.is_some_and(|kind| circuit.layout.fixed[kind as usize].iter().all(|value| *value == 0))
        };
        for (at, column) in map.columns.iter().enumerate() {
            let marked = map.marks.iter().any(|mark| mark.column == at);
            assert!(marked || (column.group == "fixed" && column.holds.iter().all(unset)), "{column:?}");
        }
        for purpose in [Purpose::Input, Purpose::Linear, Purpose::Maximum, Purpose::Function, Purpose::Lookup] {
            assert!(map.marks.iter().any(|mark| mark.purpose == purpose), "{purpose:?}");
        }
        assert!(map.marks.iter().all(|mark| mark.from + mark.bands <= map.bands && mark.tenths <= 10));
    }
}

#[test]
fn a_map_has_no_more_bands_than_rows() {
    let case = graphs::dense(1, 4, 1, SIGNED, false);
    let plan = Arc::new(CircuitPlan::choose(&case.graph, &PlanOptions::default()).unwrap());
    let circuit = ModelCircuit::for_keys(&case.graph, plan).unwrap();
    assert_eq!(circuit.map(1 << 20).bands, 512);
    assert_eq!(circuit.map(0).bands, 1);
}
