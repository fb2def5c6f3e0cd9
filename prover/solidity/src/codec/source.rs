//! The Solidity library and reader contract of a layout.

use askama::Template;

use super::layout::{Port, Role, StatementLayout, scalar_modulus};
use super::names::{capitalised, constant_case, shown};
use crate::error::Result;

/// Values that a fixed array holds at most; more are a dynamic one.
const FIXED_AT_MOST: usize = 16;

impl StatementLayout {
    /// Source of the library [`StatementLayout::library`] and of the contract [`StatementLayout::reader`], for
    /// solc 0.8.30. It imports nothing.
    ///
    /// # Errors
    /// None that a layout could cause.
    pub fn solidity(&self) -> Result<String> {
        let views: Vec<View> = self.ports().iter().enumerate().map(|(index, port)| View::new(index, port)).collect();
        let of = |role: Role| views.iter().filter(|view| view.role == role).cloned().collect::<Vec<View>>();
        let (inputs, outputs) = (of(Role::Input), of(Role::Output));
        let source = Source {
            model: shown(&self.subject().model),
            library: self.library(),
            reader: self.reader(),
            instances: self.instances(),
            modulus: format!("{:#x}", scalar_modulus()),
            only_output: match &outputs[..] {
                [output] => Some(output.clone()),
                _ => None,
            },
            input_words: inputs.iter().map(|view| view.words).sum(),
            ports: views,
            inputs,
            outputs,
        };
        Ok(source.render()? + "\n")
    }
}

/// How a struct has a port's values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    One,
    Fixed,
    Dynamic,
}

/// A port as the template needs it.
#[derive(Clone)]
struct View {
    index: usize,
    role: Role,
    name: String,
    /// Member of the struct.
    field: String,
    /// Begins its constants.
    constant: String,
    /// Ends its functions' names.
    function: String,
    form: Form,
    shape: String,
    count: usize,
    bits: u32,
    per_word: usize,
    first: usize,
    /// The first word among those of the inputs alone.
    first_input: usize,
    words: usize,
    end: usize,
    mask: String,
    offset: i64,
    exponent: i32,
    minimum: i64,
    maximum: i64,
    /// Whether bits that are read may be a value that is refused.
    bounded: bool,
    minus_infinity: Option<i64>,
    /// What is done to a value to have it in 18 decimals.
    wad: Option<String>,
}

impl View {
    fn new(index: usize, port: &Port) -> Self {
        let spec = &port.spec;
        let wad = match spec.exponent {
            0 => "value * 1e18".to_owned(),
            shift if shift > 0 => format!("(value * 1e18) >> {shift}"),
            shift => format!("value * (1e18 * 2 ** {})", shift.unsigned_abs()),
        };
        Self {
            index,
            role: spec.role,
            name: shown(&spec.name),
            field: port.identifier.clone(),
            constant: constant_case(&port.identifier),
            function: capitalised(&port.identifier),
            form: match port.count {
                1 => Form::One,
                2..=FIXED_AT_MOST => Form::Fixed,
                _ => Form::Dynamic,
            },
            shape: format!("{:?}", spec.shape),
            count: port.count,
            bits: spec.bits,
            per_word: spec.per_word,
            first: port.first_word,
            first_input: port.first_word - 1,
            words: port.words,
            end: port.first_word + port.words,
            mask: format!("{:#x}", (1u64 << spec.bits) - 1),
            offset: port.offset(),
            exponent: spec.exponent,
            minimum: spec.minimum,
            maximum: spec.maximum,
            bounded: !port.takes_all_bits(),
            minus_infinity: spec.minus_infinity,
            wad: port.has_wad().then_some(wad),
        }
    }

    fn is_one(&self) -> bool {
        self.form == Form::One
    }

    fn is_dynamic(&self) -> bool {
        self.form == Form::Dynamic
    }

    /// Type of the struct's member.
    fn solidity_type(&self) -> String {
        match self.form {
            Form::One => "int256".to_owned(),
            Form::Fixed => format!("int256[{}]", self.count),
            Form::Dynamic => "int256[]".to_owned(),
        }
    }

    /// The same for a parameter.
    fn parameter_type(&self) -> String {
        let location = if self.is_one() { "" } else { " memory" };
        format!("{}{location}", self.solidity_type())
    }

    fn role_name(&self) -> &'static str {
        match self.role {
            Role::Input => "input",
            Role::Output => "output",
        }
    }

    /// The identifier without what marks a keyword, for the names of functions.
    fn plain_field(&self) -> &str {
        self.field.trim_end_matches('_')
    }

    fn rounding(&self) -> &'static str {
        // 1e18 = 2^18 * 5^18.
        if self.exponent <= 18 { "exact" } else { "rounded towards minus infinity, so at most 1e-18 too small" }
    }
}

#[derive(Template)]
#[template(path = "statement.sol", escape = "none")]
struct Source {
    model: String,
    library: String,
    reader: String,
    instances: usize,
    modulus: String,
    ports: Vec<View>,
    inputs: Vec<View>,
    outputs: Vec<View>,
    only_output: Option<View>,
    input_words: usize,
}
