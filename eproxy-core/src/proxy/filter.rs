//! Bodies on their way, looked at or changed by the user.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, Kind};
use crate::message::Headers;

use super::grpc_web::ToWeb;

/// Changes a body as it passes; [`ProxyRequest::transform_body`](crate::ProxyRequest::transform_body) and
/// [`ProxyResponse::transform_body`](crate::ProxyResponse::transform_body) take one for each message.
///
/// It is given the body in pieces, of whatever sizes they happen to come in, and appends what goes on to `out`. A filter that
/// needs the whole body keeps what it is given and writes in [`finish`](Self::finish); how much it keeps is for it to limit.
/// The engine frames what comes out. An error or a panic breaks the message off, so that its recipient can tell, and is
/// counted as `filter_failed`; a client whose answer had not begun gets 502. What has no body, such as an answer to HEAD, is
/// not shown to a filter. One stays on the core that serves its connection, so that it need not be [`Send`]; what takes its
/// time in it keeps the other connections of that core waiting.
///
/// ```
/// use eproxy_core::BodyFilter;
///
/// struct UpperCase;
///
/// impl BodyFilter for UpperCase {
///     fn filter(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> std::io::Result<()> {
///         out.extend(bytes.iter().map(u8::to_ascii_uppercase));
///         Ok(())
///     }
/// }
/// ```
pub trait BodyFilter: 'static {
    /// Takes the next piece of the body, which is never empty.
    ///
    /// # Errors
    ///
    /// The body can't go on; the message is broken off.
    fn filter(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()>;

    /// Says that the body has ended; what is written here is the last of it.
    ///
    /// # Errors
    ///
    /// As [`filter`](Self::filter).
    fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let _nothing = out;
        Ok(())
    }
}

/// The filters of one body, in the order in which they were added.
#[derive(Default)]
pub(super) struct Filters {
    list: Vec<Filter>,
    /// What one filter hands to the next.
    between: [Vec<u8>; 2],
}

type Observer = Box<dyn FnMut(&[u8])>;

enum Filter {
    Observe(Observer),
    Transform {
        filter: Box<dyn BodyFilter>,
        may_resize: bool,
    },
    /// For a client of gRPC-Web; trailers end here.
    Web(ToWeb),
}

impl Filters {
    pub(super) fn observe(&mut self, observe: impl FnMut(&[u8]) + 'static) {
        self.list.push(Filter::Observe(Box::new(observe)));
    }

    pub(super) fn transform(&mut self, filter: impl BodyFilter, may_resize: bool) {
        self.list.push(Filter::Transform { filter: Box::new(filter), may_resize });
    }

    /// Puts one in front of all others.
    pub(super) fn transform_first(&mut self, filter: impl BodyFilter) {
        self.list.insert(0, Filter::Transform { filter: Box::new(filter), may_resize: true });
    }

    /// Translates an answer for a client of gRPC-Web.
    pub(super) fn translate(&mut self, web: ToWeb) {
        self.list.push(Filter::Web(web));
    }

    /// Whether trailers become a part of the body.
    pub(super) fn take_trailers(&self) -> bool {
        self.list.iter().any(|filter| matches!(filter, Filter::Web(_)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether the length of what comes out is not that of what goes in.
    pub(super) fn may_resize(&self) -> bool {
        let may_resize =
            |filter: &Filter| matches!(filter, Filter::Transform { may_resize: true, .. } | Filter::Web(_));
        self.list.iter().any(may_resize)
    }

    /// Passes a piece of the body through all filters, and appends what comes out to `out`.
    ///
    /// # Errors
    ///
    /// `FilterFailed`, `BadGrpcWeb`.
    pub(super) fn run(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Kind> {
        contain(|| self.run_from(0, bytes, out))
    }

    fn run_from(&mut self, first: usize, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let [mut given, mut made] = std::mem::take(&mut self.between);
        given.clear();
        given.extend_from_slice(bytes);
        for filter in &mut self.list[first..] {
            if given.is_empty() {
                break;
            }
            match filter {
                Filter::Observe(observe) => observe(&given),
                Filter::Transform { filter, .. } => {
                    made.clear();
                    filter.filter(&given, &mut made)?;
                    std::mem::swap(&mut given, &mut made);
                }
                Filter::Web(web) => {
                    made.clear();
                    web.encode(&given, &mut made);
                    std::mem::swap(&mut given, &mut made);
                }
            }
        }
        out.extend_from_slice(&given);
        self.between = [given, made];
        Ok(())
    }

    /// Says to all filters that the body has ended, and with which trailers, and appends what comes out of that.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub(super) fn finish(&mut self, out: &mut Vec<u8>, trailers: Option<&Headers>) -> Result<(), Kind> {
        contain(|| {
            for number in 0..self.list.len() {
                let mut last = Vec::new();
                match &mut self.list[number] {
                    Filter::Observe(_) => {}
                    Filter::Transform { filter, .. } => filter.finish(&mut last)?,
                    Filter::Web(web) => web.encode_trailers(trailers, &mut last),
                }
                if !last.is_empty() {
                    self.run_from(number + 1, &last, out)?;
                }
            }
            Ok(())
        })
    }
}

/// Makes an error of a panic. Of a filter's errors, only one of our own tells more than that there was one.
fn contain(run: impl FnOnce() -> io::Result<()>) -> Result<(), Kind> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => match Error::from(error).kind() {
            Kind::BadGrpcWeb => Err(Kind::BadGrpcWeb),
            _ => Err(Kind::FilterFailed),
        },
        Err(_) => Err(Kind::FilterFailed),
    }
}

impl fmt::Debug for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filters").field("number", &self.list.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Doubles every byte, and says so at the end.
    struct Double;

    impl BodyFilter for Double {
        fn filter(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
            bytes.iter().for_each(|byte| out.extend([*byte, *byte]));
            Ok(())
        }

        fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
            out.extend(b"!");
            Ok(())
        }
    }

    /// Keeps everything to the end.
    #[derive(Default)]
    struct Keep(Vec<u8>);

    impl BodyFilter for Keep {
        fn filter(&mut self, bytes: &[u8], _: &mut Vec<u8>) -> io::Result<()> {
            self.0.extend(bytes);
            Ok(())
        }

        fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
            out.append(&mut self.0);
            Ok(())
        }
    }

    #[test]
    fn what_one_filter_makes_goes_through_the_next_and_the_end_too() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let see = seen.clone();
        let mut filters = Filters::default();
        filters.transform(Double, true);
        filters.observe(move |bytes| see.lock().unwrap().extend_from_slice(bytes));
        filters.transform(Keep::default(), true);
        filters.transform(Double, true);
        assert!(filters.may_resize());
        let mut out = Vec::new();
        filters.run(b"a", &mut out).unwrap();
        filters.run(b"b", &mut out).unwrap();
        assert!(out.is_empty());
        filters.finish(&mut out, None).unwrap();
        assert_eq!(out, b"aaaabbbb!!!");
        assert_eq!(*seen.lock().unwrap(), b"aabb!");
    }
}
