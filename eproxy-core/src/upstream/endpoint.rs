//! What an endpoint is described by.

use crate::error::{Error, Kind, Result};

use super::origin::Origin;

/// One place that a group sends requests to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    url: String,
    weight: u32,
    priority: u8,
    zone: Option<String>,
    labels: Vec<(String, String)>,
    host: Option<String>,
}

impl Endpoint {
    /// An endpoint.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), weight: 1, priority: 0, zone: None, labels: Vec::new(), host: None }
    }
    /// Weight.
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }
    /// Priority.
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }
    /// Zone.
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = Some(zone.into());
        self
    }
    /// Label.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((key.into(), value.into()));
        self
    }
    pub(super) fn origin(&self) -> Result<Origin> {
        const MOST: u32 = 1000;
        match self.weight {
            1..=MOST => Origin::parse(&self.url),
            weight => Err(Error::new(Kind::BadOption)
                .detail(format!("upstream {:?} has the weight {weight}, expected 1 to {MOST}", self.url))),
        }
    }
    pub(super) fn share(&self) -> u32 {
        self.weight
    }
    pub(super) fn tier(&self) -> u8 {
        self.priority
    }
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}
