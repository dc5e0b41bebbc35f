//! Numbered fields: how a signed part grows without a new version. Unknown numbers are kept as they came.

use serde::{Deserialize, Serialize};

use crate::codec::Blob;
use crate::limits;

/// One numbered field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    pub number: u16,
    pub value: Blob,
}

/// Fields in strictly ascending order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Fields(pub Vec<Field>);

impl Fields {
    pub fn none() -> Fields {
        Fields::default()
    }

    /// True when numbers strictly ascend (so none is double) and there are not too many.
    pub fn is_well_formed(&self) -> bool {
        self.0.len() <= limits::FIELDS
            && self
                .0
                .iter()
                .zip(self.0.iter().skip(1))
                .all(|(one, next)| one.number < next.number)
    }

    /// With this value for the number, in its place.
    #[must_use]
    pub fn with(mut self, number: u16, value: Vec<u8>) -> Fields {
        self.0.retain(|field| field.number != number);
        let place = self.0.partition_point(|field| field.number < number);
        let value = Blob(value);
        self.0.insert(place, Field { number, value });
        self
    }

    pub fn value(&self, number: u16) -> Option<&[u8]> {
        self.0
            .iter()
            .find(|field| field.number == number)
            .map(|field| field.value.0.as_slice())
    }
}
