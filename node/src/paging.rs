//! Pages of lists: the limit, and a cursor that is the place in a sorted list.

use crate::api::facade::{Answer, Refused};
use crate::api::types::{Code, PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX, PageQuery};

/// The number of items that a client asked for.
pub fn limit_of(limit: Option<u32>) -> Answer<usize> {
    let limit = limit.unwrap_or(PAGE_LIMIT_DEFAULT);
    if (1..=PAGE_LIMIT_MAX).contains(&limit) {
        Ok(limit as usize)
    } else {
        Err(Refused::new(Code::ValueInvalid, "limit"))
    }
}

/// The asked page of a list that is computed whole, and the cursor of the next one.
pub fn slice<'a, T>(items: &'a [T], page: &PageQuery) -> Answer<(&'a [T], Option<String>)> {
    let limit = limit_of(page.limit)?;
    let invalid = || Refused::new(Code::ValueInvalid, "cursor");
    let start: usize = page
        .cursor
        .as_deref()
        .map_or(Ok(0), |cursor| cursor.parse().map_err(|_| invalid()))?;
    let rest = items.get(start..).ok_or_else(invalid)?;
    let (shown, more) = rest.split_at(limit.min(rest.len()));
    let next = (!more.is_empty()).then(|| start.saturating_add(shown.len()).to_string());
    Ok((shown, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_end_and_bad_cursors_are_refused() {
        let page = |cursor: Option<&str>, limit| PageQuery {
            cursor: cursor.map(str::to_owned),
            limit,
            query: None,
        };
        let items = [1, 2, 3];
        assert_eq!(
            slice(&items, &page(None, Some(2))),
            Ok((&items[..2], Some("2".to_owned())))
        );
        assert_eq!(
            slice(&items, &page(Some("2"), Some(2))),
            Ok((&items[2..], None))
        );
        assert!(slice(&items, &page(Some("9"), None)).is_err());
        assert!(slice(&items, &page(Some("x"), None)).is_err());
        assert!(slice(&items, &page(None, Some(0))).is_err());
        assert!(slice(&items, &page(None, Some(201))).is_err());
    }
}
