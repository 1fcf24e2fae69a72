//! The Date field (RFC 9110 §6.6.1), written once a second.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

/// The line of the Date field for the current second.
#[derive(Debug)]
pub(crate) struct DateLine(RefCell<(u64, Rc<str>)>);

impl DateLine {
    pub(crate) fn new() -> Self {
        Self(RefCell::new((u64::MAX, Rc::from(""))))
    }

    /// The line for so many seconds since 1970, its CR LF included.
    pub(crate) fn at(&self, seconds: u64) -> Rc<str> {
        let mut date = self.0.borrow_mut();
        if date.0 != seconds {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            *date = (seconds, format!("Date: {}\r\n", httpdate::fmt_http_date(time)).into());
        }
        date.1.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_follows_the_second() {
        let line = DateLine::new();
        assert_eq!(&*line.at(0), "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
        assert_eq!(&*line.at(86_399), "Date: Thu, 01 Jan 1970 23:59:59 GMT\r\n");
        assert!(Rc::ptr_eq(&line.at(86_399), &line.at(86_399)));
    }
}
