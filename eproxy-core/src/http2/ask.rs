//! The carrier of a stream to an upstream.
