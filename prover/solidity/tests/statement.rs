//! The generated library and its Rust twin say the same, and refuse the same for the same reasons.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;

use alloy_dyn_abi::{DynSolValue, FunctionExt, JsonAbiExt};
use alloy_json_abi::{Function, JsonAbi};
use alloy_primitives::{I256, U256};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vouch_solidity::{
    Answer, CodecError, DeployedVerifier, Evm, Port, PortSpec, Role, Rules, SolcPath, StatementLayout, StatementValues,
    Subject,
};

/// BN254's scalar modulus.
const MODULUS: &str = "0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001";
/// Values that a struct has in a fixed array at most.
const FIXED_AT_MOST: usize = 16;
const ROUNDS: usize = 16;

fn spec(role: Role, name: &str, shape: &[usize], bits: u32) -> PortSpec {
    let half = 1i64 << (bits - 1);
    PortSpec {
        name: name.to_owned(),
        role,
        shape: shape.to_vec(),
        bits,
        per_word: (248 / bits) as usize,
        exponent: 8,
        minimum: -half,
        maximum: half - 1,
        minus_infinity: None,
    }
}

fn input(name: &str, shape: &[usize], bits: u32) -> PortSpec {
    spec(Role::Input, name, shape, bits)
}

fn output(name: &str, shape: &[usize], bits: u32) -> PortSpec {
    spec(Role::Output, name, shape, bits)
}

fn layout(model: &str, ports: Vec<PortSpec>) -> StatementLayout {
    let subject = Subject { model: model.to_owned(), model_digest: "00".repeat(32), inputs_are_public: true };
    StatementLayout::new(subject, ports).unwrap()
}

/// A reader, deployed.
struct Chain {
    layout: StatementLayout,
    abi: JsonAbi,
    reader: DeployedVerifier,
}

impl Chain {
    fn new(layout: StatementLayout) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let compiled = layout.compile_reader(&SolcPath::in_repository(&root)).unwrap();
        assert_eq!(compiled.contract, layout.reader());
        let reader = Evm::new(Rules::Cancun).deploy(&compiled.creation).unwrap();
        Chain { abi: serde_json::from_value(compiled.abi).unwrap(), reader, layout }
    }

    fn function(&self, name: &str) -> Option<&Function> {
        self.abi.function(name).map(|overloads| &overloads[0])
    }

    /// What a function returns, or the data that it reverts with.
    fn call(&self, name: &str, arguments: &[DynSolValue]) -> Result<Vec<DynSolValue>, Vec<u8>> {
        let function = self.function(name).unwrap();
        match self.reader.ask(&function.abi_encode_input(arguments).unwrap()).unwrap() {
            Answer::Returned(bytes) => Ok(function.abi_decode_output(&bytes).unwrap()),
            Answer::Reverted(bytes) => Err(bytes),
            Answer::Halted(reason) => panic!("{name}: {reason}"),
        }
    }

    fn encode(&self, values: &StatementValues) -> Result<Vec<U256>, Vec<u8>> {
        let mut arguments = vec![DynSolValue::Uint(values.context, 256)];
        for (role, given) in [(Role::Input, &values.inputs), (Role::Output, &values.outputs)] {
            if self.layout.of(role).next().is_some() {
                arguments.push(self.members(role, given));
            }
        }
        Ok(words(&self.call("encode", &arguments)?[0]))
    }

    fn decode(&self, instances: &[U256]) -> Result<StatementValues, Vec<u8>> {
        let words = instances.iter().map(|word| DynSolValue::Uint(*word, 256)).collect();
        let returned = self.call("decode", &[DynSolValue::Array(words)])?;
        let mut read = StatementValues { context: returned[0].as_uint().unwrap().0, ..StatementValues::default() };
        let mut structs = returned[1..].iter();
        for role in [Role::Input, Role::Output] {
            if self.layout.of(role).next().is_none() {
                continue;
            }
            let members = structs.next().unwrap().as_tuple().unwrap();
            let named = self.layout.of(role).zip(members).map(|((_, p), v)| (p.identifier.clone(), integers(v)));
            match role {
                Role::Input => read.inputs = named.collect(),
                Role::Output => read.outputs = named.collect(),
            }
        }
        assert!(structs.next().is_none());
        Ok(read)
    }

    /// A struct of the library.
    fn members(&self, role: Role, values: &BTreeMap<String, Vec<i64>>) -> DynSolValue {
        DynSolValue::Tuple(self.layout.of(role).map(|(_, port)| member(port, &values[&port.identifier])).collect())
    }

    /// Both encode it to the same, which both decode to it, or both refuse it for the same reason.
    fn agree_on_values(&self, values: &StatementValues) -> Result<Vec<U256>, CodecError> {
        let here = self.layout.encode(values);
        let there = self.encode(values);
        match &here {
            Ok(instances) => {
                assert_eq!(there.as_ref(), Ok(instances));
                assert_eq!(self.agree_on_instances(instances).as_ref(), Ok(values));
            }
            Err(error) => assert_eq!(there, Err(error.revert_data().unwrap()), "{error}"),
        }
        here
    }

    /// Both decode them to the same, which both encode to them, or both refuse them for the same reason.
    fn agree_on_instances(&self, instances: &[U256]) -> Result<StatementValues, CodecError> {
        let here = self.layout.decode(instances);
        let there = self.decode(instances);
        match &here {
            Ok(values) => {
                assert_eq!(there.as_ref(), Ok(values));
                assert_eq!(self.layout.encode(values).as_deref(), Ok(instances));
                assert_eq!(self.encode(values).as_deref(), Ok(instances));
            }
            Err(error) => assert_eq!(there, Err(error.revert_data().unwrap()), "{error}"),
        }
        here
    }

    /// Everything at once, on values and instances at random and at their limits.
    fn agree(&self, seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let least = self.agree_on_values(&self.values(|port| vec![port.spec.minimum; port.count])).unwrap();
        self.agree_on_values(&self.values(|port| vec![port.spec.maximum; port.count])).unwrap();
        self.refuse_lengths_and_contexts(&least);
        for round in 0..ROUNDS {
            let mut values = self.values(|port| {
                let within = port.spec.minimum..=port.spec.maximum;
                (0..port.count).map(|_| rng.gen_range(within.clone())).collect()
            });
            values.context = U256::from_be_bytes::<32>(rng.r#gen()) >> 8usize;
            let instances = self.agree_on_values(&values).unwrap();
            self.refuse_a_value_out_of_bounds(&values, &mut rng);
            self.refuse_other_bits(&instances, &mut rng);
            if round == 0 {
                self.refuse_other_counts(&values);
                self.agree_on_the_outputs_alone(&values);
                self.agree_on_input_words(&values, &instances);
            }
            self.agree_on_wads(&values);
        }
    }

    fn values(&self, mut of: impl FnMut(&Port) -> Vec<i64>) -> StatementValues {
        let mut values = StatementValues::default();
        for port in self.layout.ports() {
            let role = match port.spec.role {
                Role::Input => &mut values.inputs,
                Role::Output => &mut values.outputs,
            };
            role.insert(port.identifier.clone(), of(port));
        }
        values
    }

    fn refuse_lengths_and_contexts(&self, instances: &[U256]) {
        let want = instances.len();
        for got in [0, want - 1, want + 1] {
            let mut other = instances.to_vec();
            other.resize(got, U256::ZERO);
            assert_eq!(self.agree_on_instances(&other), Err(CodecError::InstanceCount { got, want }));
        }
        let modulus: U256 = MODULUS.parse().unwrap();
        let mut other = instances.to_vec();
        other[0] = modulus - U256::ONE;
        let mut values = self.agree_on_instances(&other).unwrap();
        assert_eq!(values.context, other[0]);
        for context in [modulus, U256::MAX] {
            other[0] = context;
            values.context = context;
            assert_eq!(self.agree_on_instances(&other), Err(CodecError::ContextNotCanonical { context }));
            assert_eq!(self.agree_on_values(&values), Err(CodecError::ContextNotCanonical { context }));
        }
    }

    fn refuse_a_value_out_of_bounds(&self, values: &StatementValues, rng: &mut ChaCha8Rng) {
        for (number, port) in self.layout.ports().iter().enumerate().filter(|(_, port)| port.count > 0) {
            let index = rng.gen_range(0..port.count);
            for value in [port.spec.minimum - 1, port.spec.maximum + 1, i64::MIN, i64::MAX] {
                let mut other = values.clone();
                let role = match port.spec.role {
                    Role::Input => &mut other.inputs,
                    Role::Output => &mut other.outputs,
                };
                role.get_mut(&port.identifier).unwrap()[index] = value;
                let refused = self.agree_on_values(&other);
                assert_eq!(refused, Err(CodecError::ValueOutOfBounds { port: number, index, value }));
            }
        }
    }

    /// A bit of a place that holds a value makes another value or one out of bounds, any other bit is excess.
    fn refuse_other_bits(&self, instances: &[U256], rng: &mut ChaCha8Rng) {
        for (number, port) in self.layout.ports().iter().enumerate() {
            for word in 0..port.words {
                let used = port.spec.bits as usize * port.spec.per_word.min(port.count - word * port.spec.per_word);
                let mut other = instances.to_vec();
                let instance = port.first_word + word;
                let bit = [used, 255, rng.gen_range(used..256)][rng.gen_range(0..3)];
                other[instance] ^= U256::ONE << bit;
                let excess = CodecError::ExcessBits { port: number, instance, word: other[instance] };
                assert_eq!(self.agree_on_instances(&other), Err(excess));
                let mut other = instances.to_vec();
                other[instance] ^= U256::ONE << rng.gen_range(0..used);
                let within = self.agree_on_instances(&other);
                assert!(matches!(within, Ok(_) | Err(CodecError::ValueOutOfBounds { .. })), "{within:?}");
            }
        }
        let random: Vec<U256> = instances.iter().map(|_| U256::from_be_bytes::<32>(rng.r#gen())).collect();
        let _ = self.agree_on_instances(&random);
    }

    /// Only dynamic arrays can have another length on the chain.
    fn refuse_other_counts(&self, values: &StatementValues) {
        for (number, port) in self.layout.ports().iter().enumerate() {
            for got in [0, port.count + 1, port.count.saturating_sub(1)].into_iter().filter(|got| *got != port.count) {
                let mut other = values.clone();
                let role = match port.spec.role {
                    Role::Input => &mut other.inputs,
                    Role::Output => &mut other.outputs,
                };
                role.get_mut(&port.identifier).unwrap().resize(got, port.spec.minimum);
                let refused = Err(CodecError::ValueCount { port: number, got, want: port.count });
                if port.count > FIXED_AT_MOST || port.count == 0 {
                    assert_eq!(self.agree_on_values(&other), refused);
                } else {
                    assert_eq!(self.layout.encode(&other), refused);
                }
            }
        }
    }

    /// `toOutputs` and `toValues`, of models with one output alone.
    fn agree_on_the_outputs_alone(&self, values: &StatementValues) {
        let outputs: Vec<_> = self.layout.of(Role::Output).collect();
        let [(number, port)] = outputs[..] else {
            assert!(self.function("toOutputs").is_none() && self.function("toValues").is_none());
            return;
        };
        let given = &values.outputs[&port.identifier];
        let list = |values: &[i64]| DynSolValue::Array(values.iter().map(|value| int(*value)).collect());
        let members = self.members(Role::Output, &values.outputs);
        assert_eq!(self.call("toOutputs", &[list(given)]), Ok(vec![members.clone()]));
        assert_eq!(self.call("toValues", &[members]), Ok(vec![list(given)]));
        let longer = [&given[..], &[port.spec.minimum]].concat();
        let refused = CodecError::ValueCount { port: number, got: longer.len(), want: port.count };
        assert_eq!(self.call("toOutputs", &[list(&longer)]), Err(refused.revert_data().unwrap()));
        if let Some(last) = port.count.checked_sub(1) {
            let mut beyond = given.clone();
            beyond[last] = port.spec.maximum + 1;
            let refused = CodecError::ValueOutOfBounds { port: number, index: last, value: beyond[last] };
            let refused = refused.revert_data().unwrap();
            assert_eq!(self.call("toOutputs", &[list(&beyond)]), Err(refused.clone()));
            let members = DynSolValue::Tuple(vec![member(port, &beyond)]);
            assert_eq!(self.call("toValues", &[members]), Err(refused));
        }
    }

    fn agree_on_input_words(&self, values: &StatementValues, instances: &[U256]) {
        let count: usize = self.layout.of(Role::Input).map(|(_, port)| port.words).sum();
        if self.layout.of(Role::Input).next().is_none() {
            assert!(self.function("inputWords").is_none());
            return;
        }
        let returned = self.call("inputWords", &[self.members(Role::Input, &values.inputs)]).unwrap();
        assert_eq!(words(&returned[0]), instances[1..=count]);
    }

    fn agree_on_wads(&self, values: &StatementValues) {
        for (number, port) in self.layout.ports().iter().enumerate() {
            let name = format!("{}ToWad", port.identifier.trim_end_matches('_'));
            let given = values.inputs.get(&port.identifier).or(values.outputs.get(&port.identifier)).unwrap();
            let limits = [port.spec.minimum, port.spec.maximum, port.spec.minimum - 1, port.spec.maximum + 1];
            for value in limits.into_iter().chain(given.first().copied()) {
                match self.layout.wad(number, value) {
                    Ok(Some(wad)) => {
                        let returned = self.call(&name, &[int(value)]);
                        assert_eq!(returned, Ok(vec![DynSolValue::Int(wad, 256)]));
                    }
                    Ok(None) => assert!(self.function(&name).is_none(), "{name}"),
                    Err(error) if self.function(&name).is_some() => {
                        assert_eq!(self.call(&name, &[int(value)]), Err(error.revert_data().unwrap()));
                    }
                    Err(_) => {}
                }
            }
        }
    }
}

fn int(value: i64) -> DynSolValue {
    DynSolValue::Int(I256::try_from(value).unwrap(), 256)
}

fn member(port: &Port, values: &[i64]) -> DynSolValue {
    let values: Vec<DynSolValue> = values.iter().map(|value| int(*value)).collect();
    match port.count {
        1 => values[0].clone(),
        2..=FIXED_AT_MOST => DynSolValue::FixedArray(values),
        _ => DynSolValue::Array(values),
    }
}

fn integers(value: &DynSolValue) -> Vec<i64> {
    let integer = |value: &DynSolValue| i64::try_from(value.as_int().unwrap().0).unwrap();
    match value {
        DynSolValue::Array(values) | DynSolValue::FixedArray(values) => values.iter().map(integer).collect(),
        value => vec![integer(value)],
    }
}

fn words(value: &DynSolValue) -> Vec<U256> {
    value.as_array().unwrap().iter().map(|word| word.as_uint().unwrap().0).collect()
}

#[test]
fn a_scalar_in_and_out_agrees() {
    let bounded = PortSpec { minimum: 0, maximum: 65_535, ..output("score", &[1, 1], 24) };
    Chain::new(layout("scalar", vec![input("price", &[], 16), bounded])).agree(1);
}

#[test]
fn fixed_and_dynamic_arrays_over_several_words_agree() {
    let narrow = PortSpec { minimum: -3, maximum: 77, exponent: 15, ..input("three", &[3], 8) };
    let forty = PortSpec { per_word: 8, ..input("forty", &[4, 10], 24) };
    let ports = vec![narrow, forty, output("sixteen", &[16], 32), output("seventeen", &[17], 31)];
    Chain::new(layout("arrays", ports)).agree(2);
}

#[test]
fn outputs_alone_and_masked_ones_agree() {
    let masked = PortSpec { minus_infinity: Some(-1000), ..output("logits", &[2, 9], 16) };
    Chain::new(layout("outputs_only", vec![masked])).agree(3);
    Chain::new(layout("one_fixed_output", vec![output("probabilities", &[1, 3], 16)])).agree(4);
}

#[test]
fn inputs_alone_and_no_ports_agree() {
    Chain::new(layout("inputs_only", vec![input("a", &[2], 9), input("b", &[1], 17)])).agree(5);
    Chain::new(layout("nothing", vec![])).agree(6);
}

#[test]
fn extreme_bits_and_exponents_agree() {
    let mut ports = vec![input("bit", &[248], 1), input("empty", &[0], 16), input("coarse", &[2], 32)];
    for (exponent, name) in [(-3, "-3"), (-163, "-163"), (-164, "-164"), (-256, "-256"), (0, "0"), (256, "256")] {
        ports.push(PortSpec { exponent, ..output(name, &[1], 32) });
    }
    ports[2].exponent = -1;
    Chain::new(layout("extremes", ports)).agree(7);
}

#[test]
fn names_that_are_no_identifiers_or_collide_agree() {
    let names = [
        "address",
        "Address",
        "foo.bar",
        "foo_bar",
        "fooBar",
        "",
        "0",
        "instance",
        "x\n}",
        "价格 */ `@param y",
        "mapping",
        "int256",
        "inputs",
        "outputs",
        "values",
        "value",
        "words",
        "word",
        "first",
        "context",
        "instances",
        "encode",
        "decode",
        "rest",
        "i",
        "WAD",
        "wad",
        "error",
        "this",
        "super",
        "_",
        "x",
        "x",
    ];
    let long = "layer/".repeat(80);
    let names = names.into_iter().chain([long.as_str(), long.as_str()]);
    let ports =
        names.enumerate().map(|(i, name)| if i < 12 { input(name, &[i % 3 + 1], 16) } else { output(name, &[1], 16) });
    let chain = Chain::new(layout("library \u{202e} } contract Evil {", ports.collect()));
    assert_eq!(chain.layout.reader(), "LibraryContractEvilReader");
    chain.agree(8);
}

#[test]
fn dozens_of_ports_and_a_million_values_compile() {
    let many = (0..35).map(|i| input(&format!("in_{i}"), &[i % 20 + 1], 16));
    let many = many.chain((0..35).map(|i| output(&format!("out_{i}"), &[i % 20 + 1], 24)));
    let image = output("image", &[1000, 1000], 8);
    let layout = layout("many", many.chain([image]).collect());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let compiled = layout.compile_reader(&SolcPath::in_repository(&root)).unwrap();
    assert!(compiled.runtime.len() > 24_576, "{} bytes could be deployed", compiled.runtime.len());
}

#[test]
fn values_of_what_is_no_port_and_missing_ones_are_refused_by_name() {
    let layout = layout("scalar", vec![input("price", &[], 16), output("score", &[1], 16)]);
    let one = |name: &str| BTreeMap::from([(name.to_owned(), vec![0])]);
    let mut values = StatementValues { inputs: one("score"), outputs: one("score"), ..StatementValues::default() };
    assert_eq!(layout.encode(&values), Err(CodecError::PortUnknown { identifier: "score".to_owned() }));
    values.inputs.clear();
    assert_eq!(layout.encode(&values), Err(CodecError::PortMissing { identifier: "price".to_owned() }));
    values.inputs = one("price");
    assert_eq!(layout.encode(&values), Ok(vec![U256::ZERO, U256::from(1u64 << 15), U256::from(1u64 << 15)]));
}

#[test]
fn the_reader_documents_every_function_and_error() {
    let layout = layout("documented", vec![input("price", &[2], 16), output("score", &[1], 16)]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let compiled = layout.compile_reader(&SolcPath::in_repository(&root)).unwrap();
    let abi: JsonAbi = serde_json::from_value(compiled.abi).unwrap();
    for function in abi.functions() {
        let signature = function.signature();
        assert!(compiled.userdoc["methods"][&signature]["notice"].is_string(), "{signature}");
        let documented = &compiled.devdoc["methods"][&signature];
        for parameter in &function.inputs {
            assert!(documented["params"][&parameter.name].is_string(), "{signature} {}", parameter.name);
        }
        for returned in &function.outputs {
            assert!(documented["returns"][&returned.name].is_string(), "{signature} {}", returned.name);
        }
    }
    let names: Vec<&str> = abi.functions().map(|function| function.name.as_str()).collect();
    assert_eq!(names, ["decode", "encode", "inputWords", "priceToWad", "scoreToWad", "toOutputs", "toValues"]);
    for error in ["InstanceCount", "ContextNotCanonical", "ValueOutOfBounds", "ExcessBits"] {
        assert!(abi.errors.contains_key(error), "{error}");
    }
    assert!(compiled.devdoc["methods"].to_string().contains("shape [2], exponent 8, from -32768 to 32767"));
}
