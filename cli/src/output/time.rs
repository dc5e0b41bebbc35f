//! Times for people: relative on a terminal, as they came elsewhere.
//!
//! The present moment and the time zone are handed in, so that tests do not depend on them.

use super::Look;
use crossport_node::say;
use jiff::Timestamp;

/// `3 min ago`; the date once that is more telling. A time that cannot be read is shown as it is.
pub fn relative(text: &str, look: &Look) -> String {
    let Ok(time) = text.parse::<Timestamp>() else {
        return super::line(text);
    };
    let seconds = look.now.as_second().saturating_sub(time.as_second());
    let ahead = seconds < 0;
    let texts = look.texts;
    match seconds.unsigned_abs() {
        0..45 => say!(texts, "time-now"),
        seconds @ 45..5_400 if ahead => {
            say!(texts, "time-minutes-ahead", count = nearest(seconds, 60))
        }
        seconds @ 5_400..129_600 if ahead => {
            say!(texts, "time-hours-ahead", count = nearest(seconds, 3_600))
        }
        seconds @ 129_600..2_592_000 if ahead => {
            say!(texts, "time-days-ahead", count = nearest(seconds, 86_400))
        }
        seconds @ 45..5_400 => say!(texts, "time-minutes-ago", count = (seconds / 60).max(1)),
        seconds @ 5_400..129_600 => say!(texts, "time-hours-ago", count = seconds / 3_600),
        seconds @ 129_600..2_592_000 => say!(texts, "time-days-ago", count = seconds / 86_400),
        _ => day(text, look),
    }
}

/// What is ahead was named as a round time when it was made, a moment before or after this program's present.
const fn nearest(seconds: u64, unit: u64) -> u64 {
    (seconds + unit / 2) / unit
}

/// `14:05` in the reader's zone.
pub fn clock(text: &str, look: &Look) -> String {
    text.parse::<Timestamp>().map_or_else(
        |_| super::line(text),
        |time| {
            time.to_zoned_datetime(look.zone.clone())
                .strftime("%H:%M")
                .to_string()
        },
    )
}

/// `2026-11-23` in the reader's zone.
pub fn day(text: &str, look: &Look) -> String {
    text.parse::<Timestamp>().map_or_else(
        |_| super::line(text),
        |time| {
            time.to_zoned_datetime(look.zone.clone())
                .strftime("%Y-%m-%d")
                .to_string()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossport_node::texts::Lang;

    fn check(time: &str, english: &str, russian: &str) {
        assert_eq!(relative(time, &Look::for_tests(Lang::En)), english);
        assert_eq!(relative(time, &Look::for_tests(Lang::Ru)), russian);
    }

    #[test]
    fn times_are_told_from_now() {
        // Now is 2026-11-23T20:00:00Z.
        check("2026-11-23T19:59:30.000Z", "just now", "только что");
        check("2026-11-23T19:58:00.000Z", "2 min ago", "2 мин назад");
        check("2026-11-23T17:59:00.000Z", "2 h ago", "2 ч назад");
        check("2026-11-21T20:00:00.000Z", "2 days ago", "2 дня назад");
        check("2026-11-18T20:00:00.000Z", "5 days ago", "5 дней назад");
        check("2026-01-02T20:00:00.000Z", "2026-01-02", "2026-01-02");
        check("2026-11-24T19:00:00.000Z", "in 23 h", "через 23 ч");
        check("2026-11-30T20:00:01.000Z", "in 7 days", "через 7 дней");
        check("2026-11-30T19:59:59.000Z", "in 7 days", "через 7 дней");
        check(
            "yesterday\u{1b}[2J",
            "yesterday\\u{1b}[2J",
            "yesterday\\u{1b}[2J",
        );
    }

    #[test]
    fn clock_and_day_are_the_readers_own() {
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::Offset::constant(5));
        let look = Look {
            zone,
            ..Look::for_tests(Lang::En)
        };
        assert_eq!(clock("2026-11-23T19:46:08.000Z", &look), "00:46");
        assert_eq!(day("2026-11-23T19:46:08.000Z", &look), "2026-11-24");
    }
}
