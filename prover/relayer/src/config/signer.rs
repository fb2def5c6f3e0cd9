//! Where the key is. The file names a variable or a keystore and never holds a secret.

use std::path::PathBuf;

use alloy::signers::local::PrivateKeySigner;
use serde::Deserialize;

use crate::error::RelayerError;

/// Where the key is: either `env`, or `keystore` with `password_env`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignerConfig {
    /// Environment variable that holds a raw private key.
    pub env: Option<String>,
    /// Encrypted keystore file (Web3 secret storage).
    pub keystore: Option<PathBuf>,
    /// Environment variable that holds the keystore's password.
    pub password_env: Option<String>,
}

impl SignerConfig {
    /// Opens the key. `variable` looks up an environment variable: this crate never reads the
    /// environment itself. Secrets appear in no error.
    ///
    /// # Errors
    /// [`RelayerError::SecretMissing`], [`RelayerError::KeyInvalid`], [`RelayerError::Keystore`].
    pub fn open(&self, variable: impl Fn(&str) -> Option<String>) -> Result<PrivateKeySigner, RelayerError> {
        let secret = |key, name: &str, holds| {
            variable(name).filter(|value| !value.is_empty()).ok_or_else(|| RelayerError::SecretMissing {
                key,
                variable: name.to_owned(),
                holds,
            })
        };
        self.check()?;
        if let Some(name) = &self.env {
            return secret("signer.env", name, "the private key in hexadecimal")?
                .trim()
                .parse()
                .map_err(|_| RelayerError::KeyInvalid { variable: name.clone() });
        }
        let (Some(path), Some(name)) = (&self.keystore, &self.password_env) else {
            return Err(incomplete());
        };
        let password = secret("signer.password_env", name, "the keystore's password")?;
        PrivateKeySigner::decrypt_keystore(path, password)
            .map_err(|error| RelayerError::Keystore { path: path.clone(), problem: error.to_string() })
    }

    pub(super) fn check(&self) -> Result<(), RelayerError> {
        match (&self.env, &self.keystore, &self.password_env) {
            // A key that was pasted in place of a variable's name must not go on to a message.
            (Some(name), None, None) if !is_variable_name(name) => Err(RelayerError::ConfigValue {
                key: "signer.env",
                problem: "it is not the name of an environment variable".to_owned(),
                remedy: "write the variable's name here and the key into the variable",
            }),
            (None, Some(_), Some(name)) if !is_variable_name(name) => Err(RelayerError::ConfigValue {
                key: "signer.password_env",
                problem: "it is not the name of an environment variable".to_owned(),
                remedy: "write the variable's name here and the password into the variable",
            }),
            (Some(_), None, None) | (None, Some(_), Some(_)) => Ok(()),
            _ => Err(incomplete()),
        }
    }
}

fn is_variable_name(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && text.chars().next().is_some_and(|c| !c.is_ascii_digit())
        && text.len() < 64
}

fn incomplete() -> RelayerError {
    RelayerError::ConfigValue {
        key: "signer",
        problem: "it does not name one key".to_owned(),
        remedy: "write either `env`, or `keystore` and `password_env`",
    }
}
