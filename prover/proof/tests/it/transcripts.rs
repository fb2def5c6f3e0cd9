//! The transcript against a description of it, written out by hand.

use halo2_proofs::halo2curves::bn256::{Fr, G1Affine};
use halo2_proofs::halo2curves::ff::Field;
use halo2_proofs::transcript::{EncodedChallenge, Transcript, TranscriptRead, TranscriptWrite};
use vouch_proof::transcript::{KeccakReader, KeccakWriter, keccak256, point_to_be, reduce_be, scalar_to_be};

const DIGEST: u64 = 11;

#[test]
fn keccak_is_the_evms() {
    assert_eq!(hex::encode(keccak256(b"")), "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
}

#[test]
fn the_digest_takes_the_place_of_the_first_scalar_and_of_no_other() {
    let mut writer = KeccakWriter::new(Fr::from(DIGEST), Vec::new());
    writer.common_scalar(Fr::from(999)).unwrap();
    writer.common_scalar(Fr::from(5)).unwrap();
    writer.write_scalar(Fr::from(6)).unwrap();
    writer.write_point(G1Affine::generator()).unwrap();
    let first = writer.squeeze_challenge().get_scalar();
    let second = writer.squeeze_challenge().get_scalar();

    let mut buffer = Vec::new();
    for value in [DIGEST, 5, 6] {
        buffer.extend(scalar_to_be(&Fr::from(value)));
    }
    buffer.extend(point_to_be(&G1Affine::generator()));
    let hash = keccak256(&buffer);
    assert_eq!(first, reduce_be(&hash));
    let hash = keccak256(&[hash.as_slice(), &[1]].concat());
    assert_eq!(second, reduce_be(&hash));

    let proof = writer.finalize();
    assert_eq!(proof, buffer[64..]);
}

#[test]
fn reader_and_writer_draw_the_same_challenges() {
    let mut writer = KeccakWriter::new(Fr::from(DIGEST), Vec::new());
    writer.common_scalar(Fr::ZERO).unwrap();
    writer.write_point(G1Affine::generator()).unwrap();
    writer.write_scalar(-Fr::ONE).unwrap();
    let drawn = writer.squeeze_challenge().get_scalar();
    let proof = writer.finalize();

    let mut reader = KeccakReader::new(Fr::from(DIGEST), proof.as_slice());
    reader.common_scalar(Fr::from(3)).unwrap();
    assert_eq!(reader.read_point().unwrap(), G1Affine::generator());
    assert_eq!(reader.read_scalar().unwrap(), -Fr::ONE);
    assert_eq!(reader.squeeze_challenge().get_scalar(), drawn);
    assert!(reader.read_scalar().is_err());
}

#[test]
fn the_modulus_and_above_are_no_scalars() {
    let modulus = hex::decode("30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001").unwrap();
    for word in [modulus.as_slice(), &[0xff; 32]] {
        let mut reader = KeccakReader::new(Fr::from(DIGEST), word);
        let error = reader.read_scalar().unwrap_err();
        assert!(error.to_string().contains("scalar"), "{error}");
    }
}

#[test]
fn points_off_the_curve_the_identity_and_coordinates_above_the_modulus_are_refused() {
    let modulus = hex::decode("30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47").unwrap();
    let mut off = point_to_be(&G1Affine::generator());
    off[63] = 3;
    // The generator is (1, 2): its x once more, one modulus higher.
    let mut above = [0u8; 64];
    above[..32].copy_from_slice(&modulus);
    above[31] += 1;
    above[63] = 2;
    for (bytes, what) in [(off, "curve"), ([0; 64], "identity"), (above, "coordinate")] {
        let mut reader = KeccakReader::new(Fr::from(DIGEST), bytes.as_slice());
        let error = reader.read_point().unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
}
