//! Fields that concern one connection only and are never passed on (RFC 9110 §7.6.1).

/// Whether a field of this name belongs to a single connection whatever `Connection` says. `Trailer` is in the list
/// because a message is framed anew on its next connection, which may leave trailers out.
pub(crate) fn is_hop_by_hop(name: &[u8]) -> bool {
    const NAMES: [&str; 8] = [
        "connection",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "te",
        "upgrade",
        "http2-settings",
        "trailer",
    ];
    NAMES.iter().any(|hop| name.eq_ignore_ascii_case(hop.as_bytes()))
}

/// The members of a comma-separated list (RFC 9110 §5.6.1), without the empty ones.
pub(crate) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_tolerate_white_space_and_empty_members() {
        let found: Vec<_> = members(b" a ,,\tb, ,c").collect();
        assert_eq!(found, [b"a", b"b", b"c"]);
    }

    #[test]
    fn names_compare_without_case() {
        assert!(is_hop_by_hop(b"Keep-ALIVE") && !is_hop_by_hop(b"Date"));
    }
}
