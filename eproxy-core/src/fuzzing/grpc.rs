//! Bodies of gRPC that are looked into: those of browsers in base64, and what a server says of its health.

use crate::proxy::decode_web_text;
use crate::upstream::health;

use super::Choices;

/// Reads `input` as a body of gRPC-Web in base64, whole and in pieces, and as the answer to a question for health.
///
/// # Panics
///
/// The pieces matter, or what is accepted says something else four letters at a time.
pub fn grpc(input: &[u8]) {
    let whole = decode_web_text([input]);
    assert_eq!(decode_web_text(input.chunks(1)), whole, "byte by byte");
    let mut choices = Choices::of(input);
    for most in [64, 8, 5] {
        let mut rest = input;
        let pieces = std::iter::from_fn(|| {
            let (piece, behind) = rest.split_at(choices.up_to(most).min(rest.len()));
            rest = behind;
            (!piece.is_empty()).then_some(piece)
        });
        assert_eq!(decode_web_text(pieces.collect::<Vec<_>>()), whole, "in pieces of up to {most}");
    }
    if let Some(decoded) = whole {
        let groups =
            input.chunks(4).map(|group| base64::decode(group).expect("each group is valid by itself"));
        assert_eq!(groups.collect::<Vec<_>>().concat(), decoded);
    }
    // It says something or nothing.
    let _status = health::serving(input);
}
