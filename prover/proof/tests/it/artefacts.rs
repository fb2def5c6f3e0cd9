//! Binary files: every way to be damaged or foreign, and what survives a failed write.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use vouch_proof::artefact::{Artefact, Expected, Kind, Stamp, write_atomically};
use vouch_proof::{CircuitDigest, FileInfo, ProofError, ProofFile, ProvingKey, SrsDigest, VerifyingKey, inspect};

use crate::circuits::Chain;
use crate::fixtures::{STEPS, chain_key, chain_spec, prove_chain, srs};

const STAMP: Stamp =
    Stamp { kind: Kind::Plan, insecure: false, circuit: CircuitDigest([5; 32]), srs: SrsDigest([6; 32]) };

fn sample(folder: &Path) -> PathBuf {
    let path = folder.join("sample");
    let description = serde_json::json!({ "rows": 3 });
    Artefact::write(&path, &STAMP, &description, |body| body.write_all(b"some content")).unwrap();
    path
}

fn read_bytes(folder: &Path, bytes: &[u8]) -> Result<Artefact, ProofError> {
    let path = folder.join("changed");
    std::fs::write(&path, bytes).unwrap();
    Artefact::read(&path, &Expected::any(Kind::Plan))
}

#[test]
fn a_file_comes_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = sample(folder.path());
    let artefact = Artefact::read(&path, &Expected::any(Kind::Plan)).unwrap();
    assert_eq!(artefact.body(), b"some content");
    assert_eq!(*artefact.stamp(), STAMP);
    let description: serde_json::Value = artefact.description(&path).unwrap();
    assert_eq!(description["rows"], 3);
}

#[test]
fn every_flipped_bit_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(sample(folder.path())).unwrap();
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[place] ^= 1 << bit;
            let error = read_bytes(folder.path(), &bytes).unwrap_err();
            let as_expected = match place {
                0..6 => matches!(error, ProofError::ForeignFile { .. }),
                6..8 => matches!(error, ProofError::FormatVersion { want: 1, .. }),
                8 => matches!(error, ProofError::ForeignKind { .. }),
                88..96 => matches!(error, ProofError::FileLength { .. }),
                _ => matches!(error, ProofError::Corrupt { .. }),
            };
            assert!(as_expected, "byte {place} bit {bit}: {error}");
        }
    }
}

#[test]
fn every_truncation_and_extension_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read(sample(folder.path())).unwrap();
    for length in 0..bytes.len() {
        let error = read_bytes(folder.path(), &bytes[..length]).unwrap_err();
        let as_expected = match length {
            0..6 => matches!(error, ProofError::ForeignFile { .. }),
            _ => matches!(error, ProofError::FileLength { have, .. } if have == length as u64),
        };
        assert!(as_expected, "{length}: {error}");
    }
    bytes.push(0);
    let error = read_bytes(folder.path(), &bytes).unwrap_err();
    assert!(matches!(error, ProofError::FileLength { .. }), "{error}");
}

#[test]
fn a_file_for_another_circuit_or_setup_is_named_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = sample(folder.path());
    let expected = Expected { circuit: Some(CircuitDigest([9; 32])), ..Expected::any(Kind::Plan) };
    let error = Artefact::read(&path, &expected).unwrap_err();
    assert!(
        matches!(error, ProofError::OtherCircuit { made_for, wanted, .. }
            if made_for == STAMP.circuit && wanted == CircuitDigest([9; 32])),
        "{error}"
    );
    let expected = Expected { srs: Some(SrsDigest([9; 32])), ..Expected::any(Kind::Plan) };
    let error = Artefact::read(&path, &expected).unwrap_err();
    assert!(matches!(error, ProofError::OtherSrsFile { .. }), "{error}");
    let error = Artefact::read(&path, &Expected::any(Kind::Graph)).unwrap_err();
    assert!(
        matches!(&error, ProofError::ForeignKind { got, want: Kind::Graph, .. } if got == "a circuit plan"),
        "{error}"
    );
}

#[test]
fn a_missing_file_is_an_error_that_names_it() {
    let error = Artefact::read(Path::new("no/such/file"), &Expected::any(Kind::Plan)).unwrap_err();
    assert!(error.to_string().contains("no/such/file"), "{error}");
}

#[test]
fn a_write_that_fails_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    write_atomically(&path, |file| file.write_all(b"old")).unwrap();
    for written in [0usize, 1, 5_000_000] {
        let error = write_atomically(&path, |file| {
            file.write_all(&vec![1; written])?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        })
        .unwrap_err();
        assert!(
            matches!(&error, ProofError::Io { action: "write", source, .. }
                if source.kind() == io::ErrorKind::StorageFull),
            "{error}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_process_that_dies_while_writing_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    write_atomically(&path, |file| file.write_all(b"old")).unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["artefacts::dies_while_writing", "--exact", "--ignored"])
        .env("DIES_WHILE_WRITING", &path)
        .output()
        .unwrap()
        .status;
    assert!(!status.success());
    // The temporary file shows that the writer got as far as writing.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    write_atomically(&path, |file| file.write_all(b"new")).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
}

#[test]
#[ignore = "run by a_process_that_dies_while_writing_leaves_the_old_file in a process of its own"]
fn dies_while_writing() {
    let Some(path) = std::env::var_os("DIES_WHILE_WRITING") else {
        return;
    };
    let _ = write_atomically(Path::new(&path), |file| {
        file.write_all(&vec![1; 3_000_000])?;
        std::process::abort()
    });
}

#[test]
fn inspect_describes_every_kind_of_file() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    srs().save(&place("srs")).unwrap();
    chain_key().save(&place("pk")).unwrap();
    chain_key().verifying().save(&place("vk")).unwrap();
    let proven = prove_chain(2, &Chain::instances(2, STEPS), 1).unwrap();
    ProofFile::new(chain_key().verifying(), &proven).write(&place("proof.json")).unwrap();

    for (name, kind) in [("srs", Kind::Srs), ("pk", Kind::ProvingKey), ("vk", Kind::VerifyingKey)] {
        let FileInfo::Artefact(info) = inspect(&place(name)).unwrap() else {
            panic!("{name} is a binary file");
        };
        assert_eq!(info.kind, kind);
        assert_eq!(info.marking, Some("INSECURE"));
        assert_eq!(info.srs_digest, Some(srs().digest()));
        assert_eq!(info.description["k"], 5);
        assert_eq!(info.circuit_digest.is_some(), kind != Kind::Srs);
        let json = serde_json::to_string(&info).unwrap();
        assert!(json.contains("INSECURE"), "{json}");
    }
    let FileInfo::Proof(file) = inspect(&place("proof.json")).unwrap() else {
        panic!("a proof file is JSON");
    };
    assert_eq!(file.vk_digest, chain_key().verifying().digest());

    std::fs::write(place("other"), b"hello").unwrap();
    let error = inspect(&place("other")).unwrap_err();
    assert!(matches!(error, ProofError::ForeignFile { .. }), "{error}");
    std::fs::write(place("other"), b"{\"format\": \"vouch-proof\", \"version\": 7}").unwrap();
    let error = inspect(&place("other")).unwrap_err();
    assert!(matches!(error, ProofError::FormatVersion { got: 7, want: 1, .. }), "{error}");
    std::fs::write(place("other"), b"{\"format\": \"vouch-proof\", \"version\": 1}").unwrap();
    let error = inspect(&place("other")).unwrap_err();
    assert!(matches!(error, ProofError::Malformed { .. }), "{error}");
}

#[test]
fn a_key_file_with_a_changed_byte_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pk");
    chain_key().save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for place in (0..bytes.len()).step_by(97) {
        let mut bytes = bytes.clone();
        bytes[place] ^= 0x10;
        std::fs::write(&path, bytes).unwrap();
        assert!(ProvingKey::load::<Chain>(&path, chain_spec().circuit, ()).is_err());
    }
    chain_key().verifying().save(&path).unwrap();
    let error = ProvingKey::load::<Chain>(&path, chain_spec().circuit, ()).unwrap_err();
    assert!(matches!(error, ProofError::ForeignKind { .. }), "{error}");
    let error = VerifyingKey::load::<Chain>(&path, CircuitDigest([8; 32]), ()).unwrap_err();
    assert!(matches!(error, ProofError::OtherCircuit { .. }), "{error}");
}
