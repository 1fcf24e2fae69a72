//! Fields that concern one connection only and are never passed on (RFC 9110 §7.6.1).

use super::headers::{Field, Headers};
use super::known::Known;

/// The members of a comma-separated list (RFC 9110 §5.6.1), without the empty ones.
pub(crate) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// Whether a `Connection` field may make this one a matter of the connection. What frames, routes or identifies a
/// message is none, or a client could have it removed behind the back of who relies on it.
fn may_be_nominated(known: Known) -> bool {
    !matches!(
        known,
        Known::Host
            | Known::ContentLength
            | Known::Expect
            | Known::Forwarded
            | Known::MaxForwards
            | Known::Via
            | Known::XForwardedFor
            | Known::XForwardedHost
            | Known::XForwardedProto
            | Known::XForwardedOther
            | Known::Date
    )
}

/// Names that a message may nominate: nobody uses more, and each is looked for among all fields.
pub(crate) const MAX_NOMINATED: usize = 64;

/// Marks the fields that `Connection` names as matters of the connection, beside those that always are. Says no where
/// it names too many.
pub(crate) fn mark_nominated(head: &[u8], fields: &mut [Field]) -> bool {
    let mut left = MAX_NOMINATED;
    for number in 0..fields.len() {
        if fields[number].known != Known::Connection {
            continue;
        }
        for name in members(fields[number].value.of(head)) {
            if left == 0 {
                return false;
            }
            left -= 1;
            let named = |field: &&mut Field| field.name.of(head).eq_ignore_ascii_case(name);
            for field in fields.iter_mut().filter(named).filter(|field| may_be_nominated(field.known)) {
                field.known = Known::Nominated;
            }
        }
    }
    true
}

/// Removes the fields that `Connection` names and those that never leave a connection.
pub(crate) fn strip(headers: &mut Headers) {
    let named: Vec<Vec<u8>> = headers.get_all("connection").flat_map(members).map(<[u8]>::to_vec).collect();
    headers.retain(|known, name| {
        let is_named = may_be_nominated(known) && named.iter().any(|hop| name.eq_ignore_ascii_case(hop));
        !known.is_hop_by_hop() && !is_named
    });
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
    fn what_connection_names_goes_unless_it_frames_or_routes() {
        let mut headers = Headers::new();
        for (name, value) in [
            ("Connection", "x-one, Host, close"),
            ("X-One", "1"),
            ("Host", "a"),
            ("Keep-Alive", "timeout=5"),
            ("X-Two", "2"),
        ] {
            headers.append(name, value).unwrap();
        }
        strip(&mut headers);
        assert_eq!(headers.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["Host", "X-Two"]);
    }
}
