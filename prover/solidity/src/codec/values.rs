//! Instances from values and back, as the generated library does it.

use std::collections::BTreeMap;

use alloy_primitives::{I256, U256};

use super::error::CodecError;
use super::layout::{Port, Role, StatementLayout, scalar_modulus};

/// What a proof's instances say: the context, and each public port's integers, row-major, by its identifier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatementValues {
    /// What the proof was made for; below the scalar modulus.
    pub context: U256,
    /// Values of the public inputs.
    pub inputs: BTreeMap<String, Vec<i64>>,
    /// Values of the public outputs.
    pub outputs: BTreeMap<String, Vec<i64>>,
}

impl StatementValues {
    fn of(&self, role: Role) -> &BTreeMap<String, Vec<i64>> {
        match role {
            Role::Input => &self.inputs,
            Role::Output => &self.outputs,
        }
    }
}

impl StatementLayout {
    /// The instances that say this, `[context, input words…, output words…]`.
    ///
    /// # Errors
    /// In this order: names that are no ports, a context that is no scalar, and for each port missing values, another
    /// number of values, a value out of bounds.
    pub fn encode(&self, values: &StatementValues) -> Result<Vec<U256>, CodecError> {
        for role in [Role::Input, Role::Output] {
            let unknown = |name: &&String| !self.of(role).any(|(_, port)| port.identifier == **name);
            if let Some(identifier) = values.of(role).keys().find(unknown) {
                return Err(CodecError::PortUnknown { identifier: identifier.clone() });
            }
        }
        check_context(values.context)?;
        let mut instances = vec![values.context];
        for (index, port) in self.ports().iter().enumerate() {
            let given = values.of(port.spec.role).get(&port.identifier);
            let given = given.ok_or_else(|| CodecError::PortMissing { identifier: port.identifier.clone() })?;
            if given.len() != port.count {
                return Err(CodecError::ValueCount { port: index, got: given.len(), want: port.count });
            }
            instances.resize(port.first_word + port.words, U256::ZERO);
            for (i, &value) in given.iter().enumerate() {
                check_bounds(port, index, i, value)?;
                // Within the bounds, which fit the bits, the sum is from 0 to 2^bits - 1.
                let stored = U256::from((value + port.offset()).unsigned_abs());
                let shift = port.spec.bits as usize * (i % port.spec.per_word);
                instances[port.first_word + i / port.spec.per_word] |= stored << shift;
            }
        }
        Ok(instances)
    }

    /// What instances say.
    ///
    /// # Errors
    /// In this order: another number of instances, a context that is no scalar, and for each word of each port a value
    /// out of bounds, bits beyond its values.
    pub fn decode(&self, instances: &[U256]) -> Result<StatementValues, CodecError> {
        if instances.len() != self.instances() {
            return Err(CodecError::InstanceCount { got: instances.len(), want: self.instances() });
        }
        check_context(instances[0])?;
        let mut read = StatementValues { context: instances[0], ..StatementValues::default() };
        for (index, port) in self.ports().iter().enumerate() {
            let values = unpack(port, index, instances)?;
            let ports = match port.spec.role {
                Role::Input => &mut read.inputs,
                Role::Output => &mut read.outputs,
            };
            ports.insert(port.identifier.clone(), values);
        }
        Ok(read)
    }

    /// A value of the port with this number in 18 decimals, as contracts have them: the real number times `10^18`,
    /// rounded towards minus infinity. Nothing where there is no such port, or where some value of it would not have 256
    /// bits; the generated library has no such function then.
    ///
    /// # Errors
    /// The value is out of bounds, or stands for minus infinity.
    pub fn wad(&self, port: usize, value: i64) -> Result<Option<I256>, CodecError> {
        let Some(described) = self.ports().get(port) else { return Ok(None) };
        check_bounds(described, port, 0, value)?;
        if described.spec.minus_infinity.is_some_and(|most| value <= most) {
            return Err(CodecError::NotFinite { port, value });
        }
        Ok(described.wad(value))
    }
}

/// The values in a port's words.
fn unpack(port: &Port, index: usize, instances: &[U256]) -> Result<Vec<i64>, CodecError> {
    let mask = (1u64 << port.spec.bits) - 1;
    let mut values = Vec::with_capacity(port.count);
    let words = instances.iter().enumerate().skip(port.first_word).take(port.words);
    for (instance, &word) in words {
        let mut rest = word;
        for _ in 0..port.spec.per_word.min(port.count - values.len()) {
            // At most 32 bits, so the number is positive and the difference has 33.
            let stored = (rest.as_limbs()[0] & mask) as i64;
            let value = stored - port.offset();
            check_bounds(port, index, values.len(), value)?;
            values.push(value);
            rest >>= port.spec.bits as usize;
        }
        if !rest.is_zero() {
            return Err(CodecError::ExcessBits { port: index, instance, word });
        }
    }
    Ok(values)
}

fn check_context(context: U256) -> Result<(), CodecError> {
    if context < scalar_modulus() { Ok(()) } else { Err(CodecError::ContextNotCanonical { context }) }
}

fn check_bounds(port: &Port, number: usize, index: usize, value: i64) -> Result<(), CodecError> {
    if (port.spec.minimum..=port.spec.maximum).contains(&value) {
        return Ok(());
    }
    Err(CodecError::ValueOutOfBounds { port: number, index, value })
}
