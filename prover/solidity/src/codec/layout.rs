//! The description of a model's instances.

use alloy_primitives::{I256, U256};
use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::halo2curves::ff::Field;
use serde::{Deserialize, Serialize};

use super::names::{Identifiers, pascal_case};
use crate::error::{Error, Result};
use crate::word;

const FORMAT: &str = "vouch-statement";
const VERSION: u64 = 1;

/// Bits of an instance word that carry values.
const WORD_BITS: u32 = 248;

/// Largest number of bits of a value.
const MAX_VALUE_BITS: u32 = 32;

/// Largest magnitude of an exponent.
const MAX_EXPONENT: u32 = 256;

/// `10^18`, what stands for 1 in fixed-point numbers of contracts.
const WAD: i128 = 1_000_000_000_000_000_000;

/// Which model a statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The model's name.
    pub model: String,
    /// Digest of the model and its circuit: `0x` and 64 hexadecimal digits.
    pub model_digest: String,
    /// Whether the outputs are a function of the public inputs: no input and no weight is private.
    pub inputs_are_public: bool,
}

/// Whether a port's values go into the model or come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// An input.
    Input,
    /// An output.
    Output,
}

/// A public tensor, as the model has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSpec {
    /// Name in the ONNX file.
    pub name: String,
    /// Input or output.
    pub role: Role,
    /// Shape; values are row-major.
    pub shape: Vec<usize>,
    /// Bits of a value, 1 to 32. A value `v` is stored as `v + 2^(bits-1)`.
    pub bits: u32,
    /// Values in a word, the first the least significant; at most `248 / bits`.
    pub per_word: usize,
    /// A value `v` stands for the real number `v / 2^exponent`; -256 to 256.
    pub exponent: i32,
    /// Smallest value that is accepted.
    pub minimum: i64,
    /// Largest value that is accepted.
    pub maximum: i64,
    /// Values at or below this stand for minus infinity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minus_infinity: Option<i64>,
}

/// A public tensor, and where its words are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// The tensor.
    #[serde(flatten)]
    pub spec: PortSpec,
    /// What code calls it: unique, mixed case, no keyword of Solidity.
    pub identifier: String,
    /// Number of values.
    pub count: usize,
    /// Instance that its first word is.
    pub first_word: usize,
    /// Number of its words.
    pub words: usize,
}

impl Port {
    /// What is added to a value before it is stored.
    pub(crate) fn offset(&self) -> i64 {
        1i64 << (self.spec.bits - 1)
    }

    /// Whether the bits of a value hold nothing that the bounds refuse.
    pub(crate) fn takes_all_bits(&self) -> bool {
        self.spec.minimum == -self.offset() && self.spec.maximum == self.offset() - 1
    }

    /// Whether every value times `10^18 / 2^exponent` has 256 bits.
    pub(crate) fn has_wad(&self) -> bool {
        let largest = self.spec.minimum.unsigned_abs().max(self.spec.maximum.unsigned_abs());
        let bits = 64 - largest.leading_zeros() + (128 - WAD.leading_zeros());
        i64::from(bits) - i64::from(self.spec.exponent.min(0)) < 256
    }

    /// A value within the bounds in 18 decimals, rounded towards minus infinity; nothing where some value of the port
    /// would not have 256 bits.
    pub(crate) fn wad(&self, value: i64) -> Option<I256> {
        let scaled = I256::try_from(i128::from(value) * WAD).ok().filter(|_| self.has_wad())?;
        let shift = self.spec.exponent.unsigned_abs() as usize;
        Some(if self.spec.exponent < 0 { scaled << shift } else { scaled.asr(shift) })
    }
}

/// What the instances of a model's proofs are: the context, then the words of each public port, inputs before outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementLayout {
    subject: Subject,
    /// Begins the names of library and reader.
    contract: String,
    ports: Vec<Port>,
}

/// A layout as a file has it.
#[derive(Serialize, Deserialize)]
struct LayoutFile {
    format: String,
    version: u64,
    model: String,
    model_digest: String,
    inputs_are_public: bool,
    library: String,
    reader: String,
    instances: usize,
    ports: Vec<Port>,
}

impl StatementLayout {
    /// Lays out the instances of a model with these public ports, in the model's order.
    ///
    /// # Errors
    /// Names the port and why its values cannot be packed, or that an input comes behind an output.
    pub fn new(subject: Subject, ports: Vec<PortSpec>) -> Result<Self> {
        let mut identifiers = Identifiers::default();
        // Instance 0 is the context.
        let mut first_word = 1;
        let mut made: Vec<Port> = Vec::with_capacity(ports.len());
        for spec in ports {
            let refused = |reason: String| Error::Port { port: spec.name.clone(), reason };
            if spec.role == Role::Input && made.last().is_some_and(|port| port.spec.role == Role::Output) {
                return Err(refused("it is an input behind an output; list inputs first".to_owned()));
            }
            let count = count_of(&spec).map_err(refused)?;
            let otherwise = match spec.role {
                Role::Input => "input",
                Role::Output => "output",
            };
            let identifier = identifiers.next(&spec.name, otherwise);
            let words = count.div_ceil(spec.per_word);
            made.push(Port { spec, identifier, count, first_word, words });
            first_word += words;
        }
        Ok(Self { contract: pascal_case(&subject.model), subject, ports: made })
    }

    /// Which model the statement is about.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The public ports, in the order of their words.
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// The public ports of one role, each with its number in errors.
    pub fn of(&self, role: Role) -> impl Iterator<Item = (usize, &Port)> {
        self.ports.iter().enumerate().filter(move |(_, port)| port.spec.role == role)
    }

    /// Number of instances, of which the context is one.
    pub fn instances(&self) -> usize {
        self.ports.last().map_or(1, |port| port.first_word + port.words)
    }

    /// Name of the generated library.
    pub fn library(&self) -> String {
        format!("{}Statement", self.contract)
    }

    /// Name of the generated contract for callers off the chain.
    pub fn reader(&self) -> String {
        format!("{}Reader", self.contract)
    }

    /// The layout as `statement.json`.
    ///
    /// # Errors
    /// None that a layout could cause.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let file = LayoutFile {
            format: FORMAT.to_owned(),
            version: VERSION,
            model: self.subject.model.clone(),
            model_digest: self.subject.model_digest.clone(),
            inputs_are_public: self.subject.inputs_are_public,
            library: self.library(),
            reader: self.reader(),
            instances: self.instances(),
            ports: self.ports.clone(),
        };
        let mut bytes = serde_json::to_vec_pretty(&file).map_err(|e| Error::Layout { reason: e.to_string() })?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads `statement.json`. Bounds may have been narrowed; everything else has to follow from shapes and packings.
    ///
    /// # Errors
    /// It is no such file, or says what does not follow from its ports.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let refused = |reason: String| Error::Layout { reason };
        let file: LayoutFile = serde_json::from_slice(bytes).map_err(|e| refused(e.to_string()))?;
        if file.format != FORMAT || file.version != VERSION {
            return Err(refused(format!("it is {} version {}", file.format, file.version)));
        }
        let LayoutFile { model, model_digest, inputs_are_public, library, reader, instances, ports, .. } = file;
        let specs = ports.iter().map(|port| port.spec.clone()).collect();
        let layout = Self::new(Subject { model, model_digest, inputs_are_public }, specs)?;
        if let Some(port) = layout.ports.iter().zip(&ports).find(|(made, read)| made != read).map(|(made, _)| made) {
            return Err(refused(format!(
                "port `{}` would be `{}` with {} values in {} words from instance {}",
                port.spec.name, port.identifier, port.count, port.words, port.first_word
            )));
        }
        if (layout.instances(), layout.library(), layout.reader()) != (instances, library, reader) {
            return Err(refused("its number of instances or its names do not follow from its ports".to_owned()));
        }
        Ok(layout)
    }
}

/// The modulus that every instance is below.
pub(crate) fn scalar_modulus() -> U256 {
    U256::from_be_bytes(word::scalar_bytes(&-Fr::ONE)) + U256::ONE
}

/// Number of a port's values, where its packing and bounds are possible.
fn count_of(spec: &PortSpec) -> std::result::Result<usize, String> {
    let PortSpec { bits, per_word, exponent, minimum, maximum, .. } = *spec;
    if !(1..=MAX_VALUE_BITS).contains(&bits) || per_word == 0 || per_word > (WORD_BITS / bits) as usize {
        return Err(format!("{per_word} values of {bits} bits do not share a word of {WORD_BITS}; pack fewer"));
    }
    let half = 1i64 << (bits - 1);
    if minimum < -half || minimum > maximum || maximum >= half {
        return Err(format!("its bounds {minimum} and {maximum} do not fit {bits} signed bits; narrow them"));
    }
    if exponent.unsigned_abs() > MAX_EXPONENT {
        return Err(format!("its exponent {exponent} is beyond {MAX_EXPONENT}; scale the model"));
    }
    let count = spec.shape.iter().try_fold(1usize, |count, dim| count.checked_mul(*dim));
    let count = count.filter(|count| u32::try_from(*count).is_ok());
    count.ok_or_else(|| format!("shape {:?} has too many elements; make it smaller", spec.shape))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn spec(role: Role, shape: &[usize]) -> PortSpec {
        PortSpec {
            name: "x".to_owned(),
            role,
            shape: shape.to_vec(),
            bits: 16,
            per_word: 15,
            exponent: 8,
            minimum: -100,
            maximum: 100,
            minus_infinity: None,
        }
    }

    fn subject() -> Subject {
        Subject { model: "credit_score".to_owned(), model_digest: "00".to_owned(), inputs_are_public: true }
    }

    fn reason(ports: Vec<PortSpec>) -> String {
        StatementLayout::new(subject(), ports).unwrap_err().to_string()
    }

    #[test]
    fn words_follow_one_another_behind_the_context() {
        let ports = vec![spec(Role::Input, &[1, 16]), spec(Role::Input, &[]), spec(Role::Output, &[2, 15])];
        let layout = StatementLayout::new(subject(), ports).unwrap();
        let places: Vec<_> = layout.ports().iter().map(|p| (p.first_word, p.words, p.count)).collect();
        assert_eq!(places, [(1, 2, 16), (3, 1, 1), (4, 2, 30)]);
        assert_eq!(layout.instances(), 6);
        let identifiers: Vec<_> = layout.ports().iter().map(|p| p.identifier.as_str()).collect();
        assert_eq!(identifiers, ["x", "x2", "x3"]);
        assert_eq!((layout.library(), layout.reader()), ("CreditScoreStatement".into(), "CreditScoreReader".into()));
    }

    #[test]
    fn ports_that_cannot_be_packed_are_refused_by_name() {
        let wide = PortSpec { bits: 33, per_word: 1, ..spec(Role::Input, &[1]) };
        assert!(reason(vec![wide]).contains("1 values of 33 bits"));
        let crowded = PortSpec { per_word: 16, ..spec(Role::Input, &[1]) };
        assert!(reason(vec![crowded]).contains("16 values of 16 bits"));
        let beyond = PortSpec { maximum: 1 << 15, ..spec(Role::Input, &[1]) };
        assert!(reason(vec![beyond]).contains("do not fit 16 signed bits"));
        let empty = PortSpec { minimum: 1, maximum: 0, ..spec(Role::Input, &[1]) };
        assert!(reason(vec![empty]).contains("do not fit"));
        let small = PortSpec { exponent: 257, ..spec(Role::Input, &[1]) };
        assert!(reason(vec![small]).contains("exponent 257"));
        assert!(reason(vec![spec(Role::Input, &[1 << 20, 1 << 20])]).contains("too many elements"));
        assert!(reason(vec![spec(Role::Output, &[1]), spec(Role::Input, &[1])]).contains("behind an output"));
    }

    #[test]
    fn the_file_reads_back_and_an_inconsistent_one_is_refused() {
        let layout = StatementLayout::new(subject(), vec![spec(Role::Output, &[4, 5])]).unwrap();
        let bytes = layout.to_json().unwrap();
        assert_eq!(StatementLayout::from_json(&bytes).unwrap(), layout);
        let text = String::from_utf8(bytes).unwrap();
        for (from, to) in [
            ("\"count\": 20", "\"count\": 19"),
            ("\"first_word\": 1", "\"first_word\": 0"),
            ("\"words\": 2", "\"words\": 3"),
            ("\"instances\": 3", "\"instances\": 4"),
            ("\"identifier\": \"x\"", "\"identifier\": \"mapping\""),
            ("CreditScoreReader", "Credit}"),
            ("\"version\": 1", "\"version\": 2"),
            ("\"bits\": 16", "\"bits\": 0"),
        ] {
            assert!(text.contains(from), "{from}");
            assert!(StatementLayout::from_json(text.replace(from, to).as_bytes()).is_err(), "{to}");
        }
        let narrowed = text.replace("\"minimum\": -100", "\"minimum\": 0");
        assert_eq!(StatementLayout::from_json(narrowed.as_bytes()).unwrap().ports()[0].spec.minimum, 0);
    }

    #[test]
    fn a_wad_is_rounded_down_and_left_out_where_it_would_not_fit() {
        let port = |exponent| {
            let spec = PortSpec { exponent, ..spec(Role::Output, &[1]) };
            StatementLayout::new(subject(), vec![spec]).unwrap().ports()[0].clone()
        };
        let wad = |exponent, value| port(exponent).wad(value).map(|wad| wad.to_string());
        assert_eq!(wad(1, 3).as_deref(), Some("1500000000000000000"));
        assert_eq!(wad(-2, -3).as_deref(), Some("-12000000000000000000"));
        assert_eq!(wad(100, 1).as_deref(), Some("0"));
        assert_eq!(wad(100, -1).as_deref(), Some("-1"));
        assert_eq!(wad(256, -1).as_deref(), Some("-1"));
        // 100 has 7 bits and 1e18 has 60: 188 more give 255.
        assert!(port(-188).has_wad());
        assert!(!port(-189).has_wad());
        assert_eq!(wad(-189, 1), None);
    }
}
