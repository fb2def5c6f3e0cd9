//! Solidity names of what an ONNX file calls anything at all.

use std::collections::BTreeSet;

/// Characters of an identifier that comes from a name, before what makes it unique.
const LONGEST: usize = 48;

/// Characters of a name that a comment shows.
const LONGEST_SHOWN: usize = 80;

/// Words that solc 0.8.30 keeps, and names that would hide something built in. Types with a size are in
/// [`is_sized_type`].
const KEYWORDS: &str = "\
    abi abstract addmod address after alias anonymous apply as assembly assert at auto blobhash block blockhash bool break \
    byte bytes calldata case catch constant constructor continue contract copyof days default define delete do ecrecover \
    else emit enum error ether event external fallback false final fixed for from function gasleft global gwei hex hours if \
    immutable implements import in indexed inline int interface internal is keccak256 layout leave let library macro mapping \
    match memory minutes modifier msg mulmod mutable new now null of override partial payable pragma private promise public \
    pure receive reference relocatable require return returns revert ripemd160 sealed seconds selfdestruct sha256 sizeof \
    static storage string struct suicide super supports switch this throw transient true try tx type typedef typeof ufixed \
    uint unchecked unicode unit using var view virtual weeks wei while years";

/// Prefixes of constants that the library itself has.
const OWN_CONSTANTS: [&str; 1] = ["INSTANCE"];

/// Hands out identifiers, each once.
#[derive(Debug, Default)]
pub(crate) struct Identifiers {
    taken: BTreeSet<String>,
}

impl Identifiers {
    /// An identifier in mixed case for `name`, or for `otherwise` where nothing of the name can be one. No other has
    /// the same constants or function names.
    pub(crate) fn next(&mut self, name: &str, otherwise: &str) -> String {
        let plain = mixed_case(name, otherwise);
        let mut number = 1u64;
        loop {
            let mut identifier = if number == 1 { plain.clone() } else { format!("{plain}{number}") };
            if is_keyword(&identifier) {
                identifier.push('_');
            }
            let constant = constant_case(&identifier);
            if !OWN_CONSTANTS.contains(&constant.as_str()) && self.taken.insert(constant) {
                return identifier;
            }
            number += 1;
        }
    }
}

/// A name for a contract, in Pascal case.
pub(crate) fn pascal_case(name: &str) -> String {
    capitalised(&mixed_case(name, "model"))
}

/// With a capital first letter, and without what marks a keyword.
pub(crate) fn capitalised(identifier: &str) -> String {
    let plain = identifier.trim_end_matches('_');
    let mut characters = plain.chars();
    characters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(characters).collect()
}

/// The prefix of an identifier's constants: `fooBar2` gives `FOO_BAR2`.
pub(crate) fn constant_case(identifier: &str) -> String {
    let mut constant = String::with_capacity(identifier.len() + 4);
    let mut before = '_';
    for c in identifier.trim_end_matches('_').chars() {
        if c.is_ascii_uppercase() && !before.is_ascii_uppercase() && before != '_' {
            constant.push('_');
        }
        constant.push(c.to_ascii_uppercase());
        before = c;
    }
    constant
}

/// A name as a comment may show it: nothing in it ends the comment or is a tag.
pub(crate) fn shown(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() && !matches!(c, '`' | '@' | '\\') { c } else { '_' };
    name.chars().take(LONGEST_SHOWN).map(plain).collect()
}

/// The ASCII letters and digits of a name in mixed case; an underscore stays between two digits alone.
fn mixed_case(name: &str, otherwise: &str) -> String {
    let mut identifier = String::new();
    for word in name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let digits = word.starts_with(|c: char| c.is_ascii_digit());
        if identifier.is_empty() && digits {
            identifier.push_str(otherwise);
            identifier.push_str(word);
        } else if identifier.is_empty() {
            identifier.push_str(&lowered(word));
        } else if digits && identifier.ends_with(|c: char| c.is_ascii_digit()) {
            identifier.push('_');
            identifier.push_str(word);
        } else {
            identifier.push_str(&capitalised(word));
        }
    }
    identifier.truncate(LONGEST);
    let identifier = identifier.trim_end_matches('_');
    if identifier.is_empty() { otherwise.to_owned() } else { identifier.to_owned() }
}

/// `ID` becomes `id`, `Price` becomes `price`.
fn lowered(word: &str) -> String {
    if !word.contains(|c: char| c.is_ascii_lowercase()) {
        return word.to_ascii_lowercase();
    }
    let mut characters = word.chars();
    characters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(characters).collect()
}

fn is_keyword(identifier: &str) -> bool {
    KEYWORDS.split(' ').any(|keyword| keyword == identifier) || is_sized_type(identifier)
}

/// `bytes7`, `int24`, `uint256`, `fixed128x18` and their like, whether or not that size exists.
fn is_sized_type(identifier: &str) -> bool {
    let types = ["bytes", "int", "uint", "fixed", "ufixed"];
    let size = |rest: &str| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit() || c == 'x');
    types.iter().any(|name| identifier.strip_prefix(name).is_some_and(size))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn identifiers(names: &[&str]) -> Vec<String> {
        let mut identifiers = Identifiers::default();
        names.iter().map(|name| identifiers.next(name, "input")).collect()
    }

    #[test]
    fn names_become_mixed_case() {
        let made = identifiers(&["prices", "Credit Score", "/model/dense_1/MatMul:0", "ID", "fooBar", "2", "3.5"]);
        assert_eq!(made, ["prices", "creditScore", "modelDense1MatMul0", "id", "fooBar", "input2", "input3_5"]);
    }

    #[test]
    fn what_is_no_ascii_letter_is_left_out() {
        assert_eq!(identifiers(&["", "价格", "prix_élevé", "a\n}b"]), ["input", "input2", "prixLev", "aB"]);
    }

    #[test]
    fn keywords_get_an_underscore_and_keep_their_constants() {
        let made = identifiers(&["address", "int256", "bytes", "fixed128x18", "Address", "from"]);
        assert_eq!(made, ["address_", "int256_", "bytes_", "fixed128x18_", "address2", "from_"]);
        assert_eq!(constant_case("address_"), "ADDRESS");
        assert_eq!(capitalised("address_"), "Address");
    }

    #[test]
    fn names_that_would_be_one_are_counted() {
        let made = identifiers(&["foo.bar", "foo_bar", "fooBar", "foo_bar2", "fooBar2"]);
        assert_eq!(made, ["fooBar", "fooBar2", "fooBar3", "fooBar22", "fooBar23"]);
    }

    #[test]
    fn the_librarys_own_constants_are_not_handed_out() {
        assert_eq!(identifiers(&["instance"]), ["instance2"]);
    }

    #[test]
    fn long_names_are_cut() {
        let long = "layer/".repeat(60);
        let made = identifiers(&[&long, &long]);
        assert!(made.iter().all(|identifier| identifier.len() <= LONGEST + 1), "{made:?}");
        assert_ne!(made[0], made[1]);
    }

    #[test]
    fn constants_are_in_capitals() {
        for (identifier, constant) in [("fooBar2", "FOO_BAR2"), ("input3_5", "INPUT3_5"), ("xGBScore", "X_GBSCORE")] {
            assert_eq!(constant_case(identifier), constant);
        }
    }

    #[test]
    fn comments_show_nothing_that_ends_them() {
        assert_eq!(shown("a\nb`c@d\\e\u{202e}f g"), "a_b_c_d_e_f_g");
        assert_eq!(shown(&"a".repeat(200)).len(), LONGEST_SHOWN);
    }

    #[test]
    fn contracts_are_in_pascal_case() {
        for (name, contract) in [("rebalancer", "Rebalancer"), ("main_graph", "MainGraph"), ("", "Model")] {
            assert_eq!(pascal_case(name), contract);
        }
        assert_eq!(pascal_case("3d-net"), "Model3dNet");
    }
}
