//! The keys of TLS on both sides.

use super::shape::{Section, Shape, optional, required, without};

/// How listeners speak TLS.
pub(super) static TLS: Section = Section::new(
    "tls",
    "How a listener speaks TLS. Files are looked at every two seconds; what has changed is used for new connections if \
     everything fits together, and told in the log if not.",
    &[
        without(
            "certificate",
            Shape::Path,
            "see `certificates`",
            "The file with the certificate, in PEM, followed by those that certify it.",
        )
        .also(&["cert", "ssl_certificate", "cert_file"]),
        without(
            "key",
            Shape::Path,
            "see `certificates`",
            "The file with its private key, in PEM; may be the same file.",
        )
        .also(&["ssl_certificate_key", "key_file", "private_key"]),
        without(
            "ocsp",
            Shape::Path,
            "none",
            "An OCSP response in DER that clients are shown with the certificate.",
        ),
        without(
            "certificates",
            Shape::List(&Shape::Table(&CERTIFICATE)),
            "see `certificate`",
            "Several certificates: a client gets the one for the name that it asks for, else the first. `certificate`, if it is \
             there, stands before them.",
        ),
        optional(
            "refuse_unknown_names",
            Shape::Flag,
            "false",
            "Refuses clients that ask for a name without a certificate, or for none, instead of giving them the first.",
        ),
        optional("http2", Shape::Flag, "true", "Whether clients may choose HTTP/2."),
        optional("min_version", VERSION, "\"1.2\"", "The oldest version that is spoken."),
        without(
            "client_certificates",
            Shape::Table(&CLIENT_CERTIFICATES),
            "clients are not asked",
            "Asks clients for a certificate.",
        )
        .also(&["client_ca", "client_auth"]),
        optional(
            "reload_every",
            Shape::Duration(0, u64::MAX),
            "\"2s\"",
            "How often files are looked at; `\"0s\"` never.",
        ),
        optional(
            "tickets",
            Shape::Flag,
            "true",
            "Whether clients may go on with what was agreed on in an earlier connection, for up to twelve hours.",
        ),
    ],
);

const VERSION: Shape = Shape::Word(&["1.2", "1.3"]);

/// A certificate among several.
pub(super) static CERTIFICATE: Section =
    Section::new(
        "certificate",
        "A certificate with its key.",
        &[
            required(
                "certificate",
                Shape::Path,
                "The file with the certificate, in PEM, followed by those that certify it.",
            )
            .also(&["cert", "ssl_certificate", "cert_file"]),
            required("key", Shape::Path, "The file with its private key, in PEM; may be the same file.")
                .also(&["ssl_certificate_key", "key_file", "private_key"]),
            without(
                "ocsp",
                Shape::Path,
                "none",
                "An OCSP response in DER that clients are shown with the certificate.",
            ),
        ],
    );

static CLIENT_CERTIFICATES: Section = Section::new(
    "client_certificates",
    "Which certificates clients may or must show.",
    &[
        required("roots", Shape::Path, "The file with the roots that certify clients, in PEM.").also(&["ca"]),
        optional("required", Shape::Flag, "true", "Whether a client without one is refused."),
    ],
);

/// How endpoints are spoken to over TLS.
pub(super) static UPSTREAM_TLS: Section = Section::new(
    "upstream tls",
    "How `https://` endpoints are spoken to. Files are read with the configuration.",
    &[
        without(
            "roots",
            Shape::Some(&Shape::File),
            "the system's roots, or Mozilla's",
            "Files with the roots that are trusted, in PEM, in place of the system's.",
        )
        .also(&["ca", "ca_file", "trusted_ca"]),
        optional("system_roots", Shape::Flag, "false", "Trusts the system's roots beside those of `roots`."),
        without(
            "server_name",
            Shape::Text,
            "the endpoint's host",
            "The name to ask for, and to be proven, whatever host or address is connected to.",
        )
        .also(&["sni"]),
        without(
            "client_certificate",
            Shape::Table(&CLIENT_CERTIFICATE),
            "none",
            "The certificate to show to endpoints that ask for one.",
        ),
        optional("http2", Shape::Flag, "true", "Whether HTTP/2 is offered."),
        optional("min_version", VERSION, "\"1.2\"", "The oldest version that is spoken."),
        optional(
            "dangerous_accept_any_certificate",
            Shape::Flag,
            "false",
            "**Trusts everybody**, which is no better than `http://`. For tests only.",
        )
        .also(&["insecure_skip_verify"]),
    ],
);

static CLIENT_CERTIFICATE: Section = Section::new(
    "client_certificate",
    "A certificate of our own for endpoints.",
    &[
        required(
            "certificate",
            Shape::File,
            "The file with the certificate, in PEM, followed by those that certify it.",
        ),
        required("key", Shape::File, "The file with its private key, in PEM."),
    ],
);
